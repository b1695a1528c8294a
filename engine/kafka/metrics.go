package kafka

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	batch          *prometheus.HistogramVec // records a Handle, by consumer
	lag            *prometheus.GaugeVec     // records not handled yet, by topic and partition
	stopped        *prometheus.GaugeVec     // 1 for a partition that cannot go on, by topic and partition
	retries        *prometheus.CounterVec   // by consumer
	sendSeconds    prometheus.Histogram
	sendErrors     prometheus.Counter
	publishSeconds prometheus.Histogram
	publishErrors  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catalog_kafka_batch_records", Help: "Records handled at once.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}, []string{"consumer"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_kafka_lag_records", Help: "Records that are in the partition and not handled yet.",
		}, []string{"consumer", "topic", "partition"}),
		stopped: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_kafka_partition_stopped", Help: "1 while a partition cannot go on; the log says why.",
		}, []string{"consumer", "topic", "partition"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_kafka_retries_total", Help: "Tries to begin a shard or to handle records that were not the first.",
		}, []string{"consumer"}),
		sendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_kafka_send_seconds", Help: "Time until commands were stored on all in-sync replicas.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		sendErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_kafka_send_errors_total", Help: "Sends of commands that failed.",
		}),
		publishSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_kafka_publish_seconds", Help: "Time until the events of a batch were stored on all in-sync replicas.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		publishErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_kafka_publish_errors_total", Help: "Batches of events that could not be sent; their shard begins again.",
		}),
	}
	reg.MustRegister(m.batch, m.lag, m.stopped, m.retries, m.publishSeconds, m.publishErrors, m.sendSeconds, m.sendErrors)
	return m
}

func partitionLabel(p int32) string { return strconv.Itoa(int(p)) }
