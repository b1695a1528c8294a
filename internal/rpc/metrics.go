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

// metrics counts and times calls by method and code: rate, errors, duration.
type metrics struct{ seconds *prometheus.HistogramVec }

func newMetrics(reg prometheus.Registerer, side string) metrics {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "catalog_grpc_" + side + "_seconds",
		Help:    "Duration of gRPC calls, by method and code.",
		Buckets: prometheus.ExponentialBuckets(0.0002, 2.5, 12), // 0.2 ms to 5 s
	}, []string{"method", "code"})
	var there prometheus.AlreadyRegisteredError
	if err := reg.Register(h); errors.As(err, &there) { // a second connection of the same process
		h = there.ExistingCollector.(*prometheus.HistogramVec)
	}
	return metrics{h}
}

func (m metrics) observe(method string, since time.Time, err error) {
	m.seconds.WithLabelValues(path.Base(method), status.Code(err).String()).Observe(time.Since(since).Seconds())
}

func (m metrics) unaryServer(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	since := time.Now()
	answer, err := handler(ctx, req)
	m.observe(info.FullMethod, since, err)
	return answer, err
}

func (m metrics) streamServer(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	since := time.Now()
	err := handler(srv, stream)
	m.observe(info.FullMethod, since, err)
	return err
}

func (m metrics) unaryClient(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	since := time.Now()
	err := invoker(ctx, method, req, reply, cc, opts...)
	m.observe(method, since, err)
	return err
}
