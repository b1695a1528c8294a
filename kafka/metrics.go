package kafka

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	batch       *prometheus.HistogramVec // records a Handle, by topic
	lag         *prometheus.GaugeVec     // records not handled yet, by topic and partition
	stopped     *prometheus.GaugeVec     // 1 for a partition that cannot go on, by topic and partition
	sendSeconds prometheus.Histogram
	sendErrors  prometheus.Counter
	dead        prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catalog_kafka_batch_records", Help: "Records handled at once, by topic.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}, []string{"topic"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_kafka_lag_records", Help: "Records that are in the partition and not handled yet.",
		}, []string{"consumer", "topic", "partition"}),
		stopped: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_kafka_partition_stopped", Help: "1 while a partition cannot go on; the log says why.",
		}, []string{"consumer", "topic", "partition"}),
		sendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_kafka_send_seconds", Help: "Time until commands were stored on all in-sync replicas.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		sendErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_kafka_send_errors_total", Help: "Sends of commands that failed.",
		}),
		dead: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_kafka_dead_letters_total", Help: "Records that could not be decoded.",
		}),
	}
	reg.MustRegister(m.batch, m.lag, m.stopped, m.sendSeconds, m.sendErrors, m.dead)
	return m
}

func partitionLabel(p int32) string { return strconv.Itoa(int(p)) }
