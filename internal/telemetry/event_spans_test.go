package telemetry

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"catalog"
)

func TestEventSpans(t *testing.T) {
	const (
		traceA, traceB, parent = "0af7651916cd43dd8448eb211c80319c", "1af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
		sampled, notSampled    = "01", "00"
	)
	event := func(seq int64, trace string) catalog.Event {
		return catalog.Event{
			Position: catalog.Position{Shard: 2, Seq: seq}, Outcome: catalog.Created, Trace: trace,
			Product: catalog.Product{ID: catalog.ID{1}}, Command: catalog.ID{byte(seq)},
		}
	}
	traceparent := func(trace, flags string) string { return fmt.Sprintf("00-%s-%s-%s", trace, parent, flags) }

	e := newEndpoint(t)
	tel, _ := open(t, configOf(t, "-otlp.endpoint", e.addr))
	start := time.Now().Add(-time.Second)
	RecordEventSpans(t.Context(), "settle", []catalog.Event{
		event(1, traceparent(traceA, sampled)), event(2, traceparent(traceB, sampled)),
		event(3, traceparent(traceA, notSampled)), event(4, ""), event(5, "not a traceparent"),
	}, start)
	tel.Close()
	spans := e.received()

	t.Run("only events of sampled traces get a span", func(t *testing.T) {
		if len(spans) != 2 {
			t.Fatalf("%d spans, want 2", len(spans))
		}
	})
	t.Run("a span belongs to the trace of its event and has the command's span as parent", func(t *testing.T) {
		for i, want := range []string{traceA, traceB} {
			if got := hex.EncodeToString(spans[i].GetTraceId()); got != want {
				t.Errorf("trace of span %d = %s, want %s", i, got, want)
			}
			if got := hex.EncodeToString(spans[i].GetParentSpanId()); got != parent {
				t.Errorf("parent of span %d = %s, want %s", i, got, parent)
			}
		}
	})
	t.Run("a span has the name, the start and the attributes of its event", func(t *testing.T) {
		s := spans[0]
		if s.GetName() != "settle" || int64(s.GetStartTimeUnixNano()) != start.UnixNano() || s.GetEndTimeUnixNano() <= s.GetStartTimeUnixNano() {
			t.Errorf("span %q from %d to %d; want settle from %d", s.GetName(), s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano(), start.UnixNano())
		}
		got := map[string]string{}
		for _, a := range s.GetAttributes() {
			got[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for key, want := range map[string]string{
			"catalog.product": catalog.ID{1}.String(), "catalog.command": catalog.ID{1}.String(),
			"catalog.outcome": "created", "catalog.position": catalog.Position{Shard: 2, Seq: 1}.String(),
		} {
			if got[key] != want {
				t.Errorf("%s = %q, want %q", key, got[key], want)
			}
		}
	})
}
