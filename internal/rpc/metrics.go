package rpc

import (
	"context"
	"errors"
	"path"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// metrics counts and times calls by method and gRPC code.
type metrics struct{ duration *prometheus.HistogramVec }

// newMetrics returns the metrics of one side, "server" or "client". All
// connections of a process share the metrics of a side.
func newMetrics(reg prometheus.Registerer, side string) metrics {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "catalog_grpc_" + side + "_duration_seconds",
		Help:    "Duration of gRPC calls in seconds, by method and gRPC code.",
		Buckets: prometheus.ExponentialBuckets(0.0002, 2.5, 12), // 0.2 ms to 5 s
	}, []string{"method", "code"})
	var registered prometheus.AlreadyRegisteredError
	if err := reg.Register(h); errors.As(err, &registered) {
		h = registered.ExistingCollector.(*prometheus.HistogramVec)
	}
	return metrics{h}
}

func (m metrics) observe(method string, start time.Time, err error) {
	m.duration.WithLabelValues(path.Base(method), status.Code(err).String()).Observe(time.Since(start).Seconds())
}

func (m metrics) unaryServer(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	start := time.Now()
	reply, err := handler(ctx, req)
	m.observe(info.FullMethod, start, err)
	return reply, err
}

func (m metrics) streamServer(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	start := time.Now()
	err := handler(srv, stream)
	m.observe(info.FullMethod, start, err)
	return err
}

func (m metrics) unaryClient(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	start := time.Now()
	err := invoker(ctx, method, req, reply, cc, opts...)
	m.observe(method, start, err)
	return err
}
