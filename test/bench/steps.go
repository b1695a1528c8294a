package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// step is a span: a part of the work for one request.
type step struct {
	name       string // service and name of the span
	root       bool
	start, end time.Duration // time since the epoch
}

// stepSink receives spans, and keeps them by trace.
type stepSink struct {
	collector.UnimplementedTraceServiceServer

	mu     sync.Mutex
	traces map[string][]step
}

func (s *stepSink) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = strings.TrimPrefix(a.GetValue().GetStringValue(), "catalog-")
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				s.add(service, span)
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func (s *stepSink) add(service string, span *trace.Span) {
	id := string(span.GetTraceId())
	s.traces[id] = append(s.traces[id], step{
		name: service + ": " + span.GetName(), root: len(span.GetParentSpanId()) == 0,
		start: time.Duration(span.GetStartTimeUnixNano()), end: time.Duration(span.GetEndTimeUnixNano()),
	})
}

// steps measures where the time of a POST by one client goes: for each span of its
// trace, when it starts and ends after the start of the request. All requests are
// traced, which makes them slower.
func (b *bench) steps() (err error) {
	ctx := context.Background()
	e, err := realEngines(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.drop(ctx)) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	sink := &stepSink{traces: map[string][]step{}}
	receiver := grpc.NewServer()
	collector.RegisterTraceServiceServer(receiver, sink)
	go func() { _ = receiver.Serve(l) }()
	defer receiver.Stop()
	s, err := b.startServices(e, 0, "-otlp.sample", "1", "-otlp.endpoint", l.Addr().String())
	if err != nil {
		return err
	}
	defer s.kill()
	var next atomic.Int64
	if _, err := post(s.address(), 1, b.turn(), &next); err != nil { // warms up
		return err
	}
	if err := s.waitIdle(); err != nil {
		return err
	}
	sink.clear()
	before, err := b.costs(s, e)
	if err != nil {
		return err
	}
	p, err := post(s.address(), 1, b.turn(), &next)
	if err != nil {
		return err
	}
	if err := s.waitIdle(); err != nil {
		return err
	}
	if err := b.noteCosts("POST by 1 client, traced", before, s, e, p.created); err != nil {
		return err
	}
	if err := s.stop(); err != nil { // sends the last spans
		return err
	}
	fmt.Printf("POST by one client, traced: p50 %.2f ms\n", ms(p.took, 50))
	sink.table(os.Stdout)
	return nil
}

// clear forgets all spans.
func (s *stepSink) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.traces)
}

// table prints the steps in the order of their starts: the medians of start and end
// after the start of the request, and how many a request has.
func (s *stepSink) table(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	starts, ends := map[string][]time.Duration{}, map[string][]time.Duration{}
	requests := 0
	for _, steps := range s.traces {
		root := slices.IndexFunc(steps, func(s step) bool { return s.root })
		if root < 0 { // a request from before clear
			continue
		}
		requests++
		for _, t := range steps {
			starts[t.name] = append(starts[t.name], t.start-steps[root].start)
			ends[t.name] = append(ends[t.name], t.end-steps[root].start)
		}
	}
	names := slices.SortedFunc(maps.Keys(starts), func(a, b string) int { return cmp.Compare(ms(starts[a], 50), ms(starts[b], 50)) })
	for _, name := range names {
		fmt.Fprintf(w, "%8.2f %8.2f  %4.1f  %s\n", ms(starts[name], 50), ms(ends[name], 50), float64(len(starts[name]))/float64(requests), name)
	}
}
