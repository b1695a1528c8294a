package rpc

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog/internal/metrics"
)

// callMetrics times calls by method and status code. Health checks and reflection
// are not counted.
type callMetrics struct {
	duration metrics.Children[call, prometheus.Observer]
}

// call has the labels of the duration of a call.
type call struct {
	method string // method as gRPC writes it, such as /catalog.v1.ReaderService/GetProduct
	code   codes.Code
}

// newServerMetrics returns the metrics of a server. All servers of a process share
// them. Methods that a server does not have never reach an interceptor, so clients
// cannot create time series.
func newServerMetrics(reg prometheus.Registerer) *callMetrics {
	return newCallMetrics(metrics.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "rpc_server_call_duration_seconds", Help: "Time that the server took for a gRPC call. Streams last as long as their clients want.",
		Buckets: metrics.Seconds,
	}, []string{"rpc_method", "rpc_response_status_code"})))
}

// newClientMetrics returns the metrics of a client. All clients of a process share
// them.
func newClientMetrics(reg prometheus.Registerer) *callMetrics {
	return newCallMetrics(metrics.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "rpc_client_call_duration_seconds", Help: "Time that a caller waited for a gRPC call, retries included. Calls that were not sent, because no server responds or too many are in progress, count as well.",
		Buckets: metrics.Seconds,
	}, []string{"rpc_method", "rpc_response_status_code"})))
}

func newCallMetrics(duration *prometheus.HistogramVec) *callMetrics {
	return &callMetrics{metrics.Children[call, prometheus.Observer]{New: func(c call) prometheus.Observer {
		return duration.WithLabelValues(strings.TrimPrefix(c.method, "/"), codeName(c.code))
	}}}
}

// codeName returns the name of a code as protobuf writes it, such as NOT_FOUND.
func codeName(c codes.Code) string {
	var b strings.Builder
	for i, r := range c.String() {
		if i > 0 && r >= 'A' && r <= 'Z' && c != codes.OK {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

func (m *callMetrics) observe(ctx context.Context, method string, start time.Time, err error) {
	if strings.HasPrefix(method, "/grpc.") {
		return
	}
	metrics.Observe(ctx, m.duration.Get(call{method, status.Code(err)}), time.Since(start).Seconds())
}

func (m *callMetrics) unaryServer(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	start := time.Now()
	reply, err := handler(ctx, req)
	m.observe(ctx, info.FullMethod, start, err)
	return reply, err
}

func (m *callMetrics) streamServer(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	start := time.Now()
	err := handler(srv, stream)
	m.observe(stream.Context(), info.FullMethod, start, err)
	return err
}

func (m *callMetrics) unaryClient(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	start := time.Now()
	err := invoker(ctx, method, req, reply, cc, opts...)
	m.observe(ctx, method, start, err)
	return err
}
