package telemetry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"

	"catalog"
	"catalog/eventlog"
)

const (
	traceA, traceB = "0af7651916cd43dd8448eb211c80319c", "1af7651916cd43dd8448eb211c80319c"
	sender         = "b7ad6b7169203331"
)

func traceparent(id, flags string) string { return "00-" + id + "-" + sender + "-" + flags }

// commands returns a batch of one command for each traceparent, accepted age ago
// and polled half of that ago.
func commands(age time.Duration, traceparents ...string) eventlog.Records[catalog.Command] {
	now := time.Now()
	r := eventlog.Records[catalog.Command]{Delivery: eventlog.Delivery{Topic: "catalog.commands", Partition: 3, Consumer: "writer", PolledAt: now.Add(-age / 2)}}
	for i, t := range traceparents {
		r.Items = append(r.Items, catalog.Command{ID: catalog.ID{byte(i + 1)}, Product: catalog.ID{7}, Trace: t, AcceptedAt: now.Add(-age)})
		if sc := trace.SpanContextFromContext(extract(context.Background(), t)); sc.IsSampled() {
			r.Traces = append(r.Traces, eventlog.Trace{Traceparent: t, SentAt: now.Add(-age), Item: i, Records: 1})
		}
	}
	return r
}

// process runs work with a telemetry and returns the spans that arrive, by trace
// and name.
func process(t *testing.T, work func(ctx context.Context), args ...string) map[string]map[string]*tracev1.Span {
	t.Helper()
	e := newEndpoint(t)
	tel, _ := open(t, configOf(t, append([]string{"-otlp.endpoint", e.addr, "-otlp.sample", "0"}, args...)...))
	work(t.Context())
	tel.Close()
	all := map[string]map[string]*tracev1.Span{}
	for _, s := range e.received() {
		id := hex.EncodeToString(s.GetTraceId())
		if all[id] == nil {
			all[id] = map[string]*tracev1.Span{}
		}
		if all[id][s.GetName()] != nil {
			t.Errorf("trace %s has %q twice", id, s.GetName())
		}
		all[id][s.GetName()] = s
	}
	return all
}

func TestBatch(t *testing.T) {
	var header string
	all := process(t, func(ctx context.Context) {
		r := commands(time.Second, traceparent(traceA, "01"), traceparent(traceB, "01"), traceparent("2af7651916cd43dd8448eb211c80319c", "00"), "")
		ctx, batch := StartCommands(ctx, r)
		stepCtx, step := StartStep(ctx, "settle")
		_, call := NewDB("postgresql", "127.0.0.1:5432").Start(stepCtx, "SELECT", "products")
		call.End("")
		step.End(nil)
		batch.SetEvents([]catalog.Event{{Command: catalog.ID{1}, Position: catalog.Position{Shard: 3, Seq: 9}, Outcome: catalog.Created}})
		send := StartSend(ctx, "events", "catalog.events", 2)
		header = send.Traceparent(traceparent(traceB, "01"))
		batch.End(nil)
		send.End(nil)
	})
	t.Run("each sampled trace has each step once, and only the first the calls of drivers", func(t *testing.T) {
		if len(all) != 2 {
			t.Fatalf("%d traces, want 2", len(all))
		}
		steps := []string{"process catalog.commands", "send catalog.events", "settle", "wait in catalog.commands"}
		if got := names(all[traceA]); !slices.Equal(got, append([]string{"SELECT products"}, steps...)) {
			t.Errorf("the first trace has %q", got)
		}
		if got := names(all[traceB]); !slices.Equal(got, steps) {
			t.Errorf("the second trace has %q, want %q", got, steps)
		}
	})
	t.Run("the wait and the batch are below the sender, the steps below the batch, the calls below their step", func(t *testing.T) {
		for _, id := range []string{traceA, traceB} {
			batch := all[id]["process catalog.commands"]
			for name, want := range map[string]string{
				"wait in catalog.commands": sender, "process catalog.commands": sender,
				"settle": hex.EncodeToString(batch.GetSpanId()), "send catalog.events": hex.EncodeToString(batch.GetSpanId()),
			} {
				if got := hex.EncodeToString(all[id][name].GetParentSpanId()); got != want {
					t.Errorf("parent of %s = %s, want %s", name, got, want)
				}
			}
		}
		if got, want := all[traceA]["SELECT products"].GetParentSpanId(), all[traceA]["settle"].GetSpanId(); !slices.Equal(got, want) {
			t.Errorf("parent of the call = %x, want %x", got, want)
		}
	})
	t.Run("the spans of the other traces have the times of the first and a link to it", func(t *testing.T) {
		for _, name := range []string{"process catalog.commands", "settle", "send catalog.events"} {
			a, b := all[traceA][name], all[traceB][name]
			if a.GetStartTimeUnixNano() != b.GetStartTimeUnixNano() || a.GetEndTimeUnixNano() != b.GetEndTimeUnixNano() {
				t.Errorf("%s: the times differ", name)
			}
			if l := b.GetLinks(); len(l) != 1 || !slices.Equal(l[0].GetSpanId(), a.GetSpanId()) {
				t.Errorf("%s: links %v, want one to %x", name, l, a.GetSpanId())
			}
		}
		if l := all[traceA]["process catalog.commands"].GetLinks(); len(l) != 1 || hex.EncodeToString(l[0].GetTraceId()) != traceB {
			t.Errorf("the batch has the links %v, want one to trace B", l)
		}
	})
	t.Run("the batch lasts until its last step", func(t *testing.T) {
		if b, s := all[traceA]["process catalog.commands"], all[traceA]["send catalog.events"]; b.GetEndTimeUnixNano() < s.GetEndTimeUnixNano() {
			t.Error("the batch ends before the last step")
		}
	})
	t.Run("a record is sent with the span of its own trace", func(t *testing.T) {
		if want := fmt.Sprintf("00-%s-%x-01", traceB, all[traceB]["send catalog.events"].GetSpanId()); header != want {
			t.Errorf("traceparent = %s, want %s", header, want)
		}
	})
	t.Run("the batch has the attributes of the message and the command", func(t *testing.T) {
		got := attributes(all[traceA]["process catalog.commands"].GetAttributes())
		for key, want := range map[string]string{
			"messaging.system": "kafka", "messaging.destination.name": "catalog.commands", "messaging.consumer.group.name": "writer",
			"messaging.destination.partition.id": "3", "messaging.operation.type": "process", "messaging.batch.message_count": "1",
			"catalog.command": catalog.ID{1}.String(), "catalog.product": catalog.ID{7}.String(), "catalog.position": "3.9", "catalog.outcome": "created",
		} {
			if got[key] != want {
				t.Errorf("%s = %q, want %q", key, got[key], want)
			}
		}
	})
}

func names(spans map[string]*tracev1.Span) []string {
	var list []string
	for name := range spans {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func TestBatch_retry(t *testing.T) {
	all := process(t, func(ctx context.Context) {
		r := commands(time.Second, traceparent(traceA, "01"))
		r.Attempt = 1
		_, batch := StartCommands(ctx, r)
		batch.End(fmt.Errorf("store: %w", errors.Join(catalog.ErrUnavailable, errors.New("a secret"))))
	})[traceA]
	t.Run("a second attempt has no second wait", func(t *testing.T) {
		if got := names(all); !slices.Equal(got, []string{"process catalog.commands"}) {
			t.Errorf("spans %q", got)
		}
	})
	t.Run("an error has its type and not its text", func(t *testing.T) {
		s := all["process catalog.commands"]
		if got := attributes(s.GetAttributes())["error.type"]; got != "unavailable" || s.GetStatus().GetMessage() != "unavailable" || s.GetStatus().GetCode() != tracev1.Status_STATUS_CODE_ERROR {
			t.Errorf("error.type = %q, status %v; want unavailable", got, s.GetStatus())
		}
	})
}

func TestBatch_slow(t *testing.T) {
	settle := func(age time.Duration, traceparents ...string) func(context.Context) {
		return func(ctx context.Context) {
			ctx, batch := StartCommands(ctx, commands(age, traceparents...))
			_, step := StartStep(ctx, "settle")
			step.End(nil)
			batch.End(nil)
		}
	}
	steps := []string{"process catalog.commands", "settle", "wait in catalog.commands"}
	t.Run("a command that is not sampled and old gets the spans of its batch", func(t *testing.T) {
		all := process(t, settle(2*time.Second, traceparent(traceA, "00"), traceparent(traceB, "01")), "-otlp.keep-slow", "1s")
		for _, id := range []string{traceA, traceB} {
			if got := names(all[id]); !slices.Equal(got, steps) {
				t.Errorf("trace %s has %q, want %q", id, got, steps)
			}
		}
		if got, want := all[traceA]["settle"].GetParentSpanId(), all[traceA]["process catalog.commands"].GetSpanId(); !slices.Equal(got, want) {
			t.Errorf("parent of settle = %x, want %x", got, want)
		}
		if got := hex.EncodeToString(all[traceA]["process catalog.commands"].GetParentSpanId()); got != sender {
			t.Errorf("parent of the batch = %s, want %s", got, sender)
		}
	})
	t.Run("a young one gets none", func(t *testing.T) {
		if all := process(t, settle(0, traceparent(traceA, "00")), "-otlp.keep-slow", "1m"); len(all) != 0 {
			t.Errorf("%d traces, want none", len(all))
		}
	})
	t.Run("without -otlp.keep-slow an old one gets none", func(t *testing.T) {
		if all := process(t, settle(time.Hour, traceparent(traceA, "00"))); len(all) != 0 {
			t.Errorf("%d traces, want none", len(all))
		}
	})
}

func TestBatch_import(t *testing.T) {
	t.Run("the commands of one trace share its spans", func(t *testing.T) {
		all := process(t, func(ctx context.Context) {
			r := commands(time.Second, traceparent(traceA, "01"))
			r.Items = append(r.Items, r.Items[0], r.Items[0])
			r.Traces[0].Records = 3
			_, batch := StartCommands(ctx, r)
			batch.End(nil)
		})[traceA]
		got := attributes(all["process catalog.commands"].GetAttributes())
		if got["messaging.batch.message_count"] != "3" || got["catalog.command"] != "" {
			t.Errorf("attributes %v; want 3 messages and no command", got)
		}
	})
}

func TestBatch_several(t *testing.T) {
	t.Run("a step of several batches has a span in each, and they last until they are released", func(t *testing.T) {
		all := process(t, func(ctx context.Context) {
			ctxA, a := StartCommands(ctx, commands(time.Second, traceparent(traceA, "01")))
			ctxB, b := StartCommands(ctx, commands(time.Second, traceparent(traceB, "01")))
			heldA, heldB := Hold(ctxA), Hold(ctxB)
			a.End(nil)
			b.End(nil)
			_, step := StartStep(WithBatches(context.Background(), heldA, nil, heldB), "write index")
			step.End(nil)
			heldA.Release()
			heldB.Release()
		})
		for _, id := range []string{traceA, traceB} {
			step, batch := all[id]["write index"], all[id]["process catalog.commands"]
			if step == nil || batch == nil || !slices.Equal(step.GetParentSpanId(), batch.GetSpanId()) || batch.GetEndTimeUnixNano() < step.GetEndTimeUnixNano() {
				t.Errorf("trace %s has %q; want the step within the batch", id, names(all[id]))
			}
		}
	})
}
