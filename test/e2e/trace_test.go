package e2e

import (
	"context"
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// spanCollector receives spans by OTLP, as Jaeger does, and keeps their names by
// trace.
type spanCollector struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	names map[string][]string
}

func (s *spanCollector) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				trace := hex.EncodeToString(span.GetTraceId())
				s.names[trace] = append(s.names[trace], span.GetName())
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestTrace(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := &spanCollector{names: map[string][]string{}}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, got)
	go server.Serve(l)
	t.Cleanup(server.Stop)

	s := up(t, dataDir(t), "-otlp.endpoint", l.Addr().String())
	const trace = "0af7651916cd43dd8448eb211c80319c"
	parent := []string{"Traceparent", "00-" + trace + "-b7ad6b7169203331-01"}
	a := s.must(http.StatusCreated, "POST", "/api/v1/products", chair, parent...)
	id := a.json(t)["id"].(string)
	s.must(http.StatusOK, "GET", "/api/v1/products/"+id, "", append(parent, "Catalog-Position", a.header.Get("Catalog-Position"))...)

	eventually(t, "all spans have arrived", func() bool {
		got.mu.Lock()
		defer got.mu.Unlock()
		all := strings.Join(got.names[trace], "\n") + "\n"
		for _, name := range []string{"POST /api/v1/products\n", "settle\n", "project\n", "GET /api/v1/products/:id\n", "catalog.v1.ReaderService/GetProduct\n"} {
			if !strings.Contains(all, name) {
				return false
			}
		}
		return true
	})
	if r := s.must(http.StatusOK, "GET", "/api/v1/commands/"+id, "").json(t); r["traceId"] != trace {
		t.Errorf("traceId of the receipt = %v", r["traceId"])
	}
}
