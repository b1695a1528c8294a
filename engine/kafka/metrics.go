package kafka

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	batch          *prometheus.HistogramVec // by consumer
	lag            *prometheus.GaugeVec     // by consumer, topic and partition
	stopped        *prometheus.GaugeVec     // by consumer, topic and partition
	retries        *prometheus.CounterVec   // by consumer
	sendSeconds    prometheus.Histogram
	sendErrors     prometheus.Counter
	publishSeconds prometheus.Histogram
	publishErrors  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catalog_kafka_batch_records", Help: "Records per handled batch.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}, []string{"consumer"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_kafka_lag_records", Help: "Records of the partition that are not handled yet.",
		}, []string{"consumer", "topic", "partition"}),
		stopped: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_kafka_partition_stopped", Help: "1 while the partition is stopped and an operator must act; the log has the reason.",
		}, []string{"consumer", "topic", "partition"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_kafka_retries_total", Help: "Retries of starting a shard or of handling a batch.",
		}, []string{"consumer"}),
		sendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_kafka_send_seconds", Help: "Time until the commands of a call were stored on all in-sync replicas.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		sendErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_kafka_send_errors_total", Help: "Calls to send commands that failed.",
		}),
		publishSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_kafka_publish_seconds", Help: "Time until the events or dead letters of a batch were stored on all in-sync replicas.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		publishErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_kafka_publish_errors_total", Help: "Batches of events or dead letters that could not be sent; their shard restarts.",
		}),
	}
	reg.MustRegister(m.batch, m.lag, m.stopped, m.retries, m.publishSeconds, m.publishErrors, m.sendSeconds, m.sendErrors)
	return m
}

func partitionLabel(p int32) string { return strconv.Itoa(int(p)) }
