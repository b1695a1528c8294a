package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// step is a span: a part of the work for one request.
type step struct {
	name       string // service and name of the span
	root       bool
	start, end time.Duration // time since the epoch
}

// stepSink keeps spans by trace.
type stepSink struct {
	mu     sync.Mutex
	traces map[string][]step
}

func (s *stepSink) add(service string, span *trace.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	sink := &stepSink{traces: map[string][]step{}}
	endpoint, stop, err := receiveSpans(sink.add)
	if err != nil {
		return err
	}
	defer stop()
	s, err := b.startServices(e, 0, "-otlp.sample", "1", "-otlp.endpoint", endpoint)
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
