package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// span is a span as a test compares it.
type span struct {
	id, parent    string
	service, name string
	group         string // consumer group of a span on a batch of records; else ""
	start, end    int64  // nanoseconds since 1970
	attributes    map[string]string
}

// label returns service, name and group.
func (s span) label() string {
	if s.group != "" {
		return fmt.Sprintf("%s: %s (%s)", s.service, s.name, s.group)
	}
	return s.service + ": " + s.name
}

// tree returns a line for each span of a trace, with its parent: "label < label".
// Spans whose parent is not in the trace have only their label.
func tree(spans []span) []string {
	byID := map[string]span{}
	for _, s := range spans {
		byID[s.id] = s
	}
	lines := make([]string, len(spans))
	for i, s := range spans {
		lines[i] = s.label()
		if p, ok := byID[s.parent]; ok {
			lines[i] += " < " + p.label()
		}
	}
	slices.Sort(lines)
	return lines
}

// checkTree compares the spans of a trace with lines of tree.
func checkTree(t *testing.T, spans []span, want []string) {
	t.Helper()
	slices.Sort(want)
	got := tree(spans)
	for _, line := range got {
		if i, ok := slices.BinarySearch(want, line); ok {
			want = slices.Delete(want, i, i+1)
		} else {
			t.Errorf("the trace has too much: %s", line)
		}
	}
	for _, line := range want {
		t.Errorf("the trace lacks: %s", line)
	}
	for _, s := range spans {
		if s.end < s.start {
			t.Errorf("%s ends before it starts", s.label())
		}
	}
}

// spanCollector receives spans by OTLP, as Jaeger does, and keeps them by trace.
type spanCollector struct {
	collector.UnimplementedTraceServiceServer
	mu     sync.Mutex
	traces map[string][]span
}

func (c *spanCollector) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				attributes := map[string]string{}
				for _, a := range s.GetAttributes() {
					attributes[a.GetKey()] = a.GetValue().GetStringValue()
				}
				id := hex.EncodeToString(s.GetTraceId())
				c.traces[id] = append(c.traces[id], span{
					id: hex.EncodeToString(s.GetSpanId()), parent: hex.EncodeToString(s.GetParentSpanId()),
					service: service, name: s.GetName(), group: attributes["messaging.consumer.group.name"],
					start: int64(s.GetStartTimeUnixNano()), end: int64(s.GetEndTimeUnixNano()), attributes: attributes,
				})
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func (c *spanCollector) trace(id string) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.traces[id])
}

// startCollector returns a collector and its address.
func startCollector(t *testing.T) (*spanCollector, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &spanCollector{traces: map[string][]span{}}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, c)
	go server.Serve(l)
	t.Cleanup(server.Stop)
	return c, l.Addr().String()
}

func TestTrace(t *testing.T) {
	t.Parallel()
	got, address := startCollector(t)
	s := up(t, dataDir(t), "-otlp.endpoint", address)
	const (
		write, read = "0af7651916cd43dd8448eb211c80319c", "1af7651916cd43dd8448eb211c80319c"
		parent      = "-b7ad6b7169203331-01"
	)
	a := s.must(http.StatusCreated, "POST", "/api/v1/products", chair, "Traceparent", "00-"+write+parent)
	id := a.json(t)["id"].(string)
	s.must(http.StatusOK, "GET", "/api/v1/products/"+id, "", "Traceparent", "00-"+read+parent, "Catalog-Position", a.header.Get("Catalog-Position"))

	t.Run("a write has each step once, below the step before it", func(t *testing.T) {
		want := []string{
			"catalog: POST /api/v1/products",
			"catalog: send catalog.commands < catalog: POST /api/v1/products",
			"catalog: wait in catalog.commands (writer) < catalog: send catalog.commands",
			"catalog: process catalog.commands (writer) < catalog: send catalog.commands",
			"catalog: settle < catalog: process catalog.commands (writer)",
			"catalog: send catalog.events < catalog: process catalog.commands (writer)",
			"catalog: wait in catalog.events (view) < catalog: send catalog.events",
			"catalog: process catalog.events (view) < catalog: send catalog.events",
			"catalog: write view < catalog: process catalog.events (view)",
			"catalog: save checkpoint < catalog: process catalog.events (view)",
			"catalog: wait in catalog.events (index) < catalog: send catalog.events",
			"catalog: process catalog.events (index) < catalog: send catalog.events",
			"catalog: write index < catalog: process catalog.events (index)",
		}
		eventually(t, "all spans have arrived", func() bool { return len(got.trace(write)) >= len(want) })
		checkTree(t, got.trace(write), want)
	})
	t.Run("a read has the call to the reader", func(t *testing.T) {
		want := []string{
			"catalog: GET /api/v1/products/:id",
			"catalog: catalog.v1.ReaderService/GetProduct < catalog: GET /api/v1/products/:id",
			"catalog: catalog.v1.ReaderService/GetProduct < catalog: catalog.v1.ReaderService/GetProduct",
		}
		eventually(t, "all spans have arrived", func() bool { return len(got.trace(read)) >= len(want) })
		checkTree(t, got.trace(read), want)
	})
	t.Run("no attribute has data of the product", func(t *testing.T) {
		for _, s := range append(got.trace(write), got.trace(read)...) {
			for key, value := range s.attributes {
				if strings.Contains(value, "CHA-7") || strings.Contains(value, "Folding") || strings.Contains(value, "149") {
					t.Errorf("%s: %s = %q", s.label(), key, value)
				}
			}
		}
	})
	t.Run("the response, the receipt and a problem have the id of the trace", func(t *testing.T) {
		if h := a.header.Get("Trace-Id"); h != write {
			t.Errorf("Trace-Id = %q, want %s", h, write)
		}
		if r := s.must(http.StatusOK, "GET", "/api/v1/commands/"+id, "").json(t); r["traceId"] != write {
			t.Errorf("traceId of the receipt = %v, want %s", r["traceId"], write)
		}
		p := s.must(http.StatusNotFound, "GET", "/api/v1/products/"+strings.Repeat("0", 8)+"-0000-7000-8000-000000000000", "", "Traceparent", "00-"+read+parent)
		if p.json(t)["traceId"] != read || p.header.Get("Trace-Id") != read {
			t.Errorf("traceId of the problem = %v, Trace-Id = %q; want %s", p.json(t)["traceId"], p.header.Get("Trace-Id"), read)
		}
	})
}
