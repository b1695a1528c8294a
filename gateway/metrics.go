package gateway

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/internal/metrics"
)

// gatewayMetrics are the metrics of requests.
type gatewayMetrics struct {
	duration metrics.Children[response, prometheus.Observer]
	active   metrics.Children[string, prometheus.Gauge] // by method
	rows     *prometheus.CounterVec                     // by result

	shedBacklog, shedDisk, shedSubscribers, shedMemory prometheus.Counter
}

// response has the labels of the duration of a request.
type response struct {
	route, method string
	status        int
}

func newMetrics(reg prometheus.Registerer) *gatewayMetrics {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_server_request_duration_seconds", Help: "Time from the header of an HTTP request until its response was written. Change streams and imports last as long as their clients want.",
		Buckets: metrics.Seconds,
	}, []string{"http_request_method", "http_route", "http_response_status_code"})
	active := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "http_server_active_requests", Help: "HTTP requests in progress, change streams included.",
	}, []string{"http_request_method"})
	rows := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catalog_import_rows_total", Help: "Rows of imports by result; pending rows are accepted and were not settled in time.",
	}, []string{"result"})
	reg.MustRegister(duration, active, rows)
	m := &gatewayMetrics{
		duration: metrics.Children[response, prometheus.Observer]{New: func(r response) prometheus.Observer {
			return duration.WithLabelValues(r.method, r.route, strconv.Itoa(r.status))
		}},
		active: metrics.Children[string, prometheus.Gauge]{New: func(method string) prometheus.Gauge { return active.WithLabelValues(method) }},
		rows:   rows,

		shedBacklog: metrics.Shed(reg, "backlog"), shedDisk: metrics.Shed(reg, "disk"),
		shedSubscribers: metrics.Shed(reg, "subscribers"), shedMemory: metrics.Shed(reg, "memory"),
	}
	for _, result := range []catalog.Outcome{catalog.Created, catalog.Changed, catalog.Unchanged, catalog.Refused, rowPending} {
		rows.WithLabelValues(string(result)) // a rate needs the 0 before the first row
	}
	return m
}

// rowPending is the result of a row whose command was not settled in time.
const rowPending = "pending"
