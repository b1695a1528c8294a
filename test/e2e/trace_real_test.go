//go:build real

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"catalog/engine/enginetest/freeport"
)

// jaegerTrace returns the spans of a trace from Jaeger's API, or none.
func jaegerTrace(t *testing.T, id string) []span {
	t.Helper()
	type tag struct {
		Key   string
		Value any
	}
	var response struct {
		Data []struct {
			Spans []struct {
				SpanID, ProcessID, OperationName string
				References                       []struct{ RefType, SpanID string }
				StartTime, Duration              int64 // microseconds
				Tags                             []tag
			}
			Processes map[string]struct{ ServiceName string }
		}
	}
	r, err := http.Get(os.Getenv("CATALOG_TEST_JAEGER_URL") + "/api/traces/" + id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusNotFound {
		return nil
	}
	if err := json.NewDecoder(r.Body).Decode(&response); err != nil || len(response.Data) != 1 {
		t.Fatalf("Jaeger returned %s with %d traces: %v", r.Status, len(response.Data), err)
	}
	var spans []span
	for _, s := range response.Data[0].Spans {
		next := span{
			id: s.SpanID, service: response.Data[0].Processes[s.ProcessID].ServiceName, name: s.OperationName,
			start: s.StartTime, end: s.StartTime + s.Duration, attributes: map[string]string{},
		}
		for _, ref := range s.References {
			if ref.RefType == "CHILD_OF" {
				next.parent = ref.SpanID
			}
		}
		for _, a := range s.Tags {
			next.attributes[a.Key] = fmt.Sprint(a.Value)
		}
		next.group = next.attributes["messaging.consumer.group.name"]
		spans = append(spans, next)
	}
	return spans
}

// tracedSystem starts the three services on real engines, with Jaeger and flags.
func tracedSystem(t *testing.T, flags ...string) (s *server, prefix string) {
	t.Helper()
	env := engineEnv(t)
	for _, v := range env {
		if name, value, _ := strings.Cut(v, "="); name == "CATALOG_KAFKA_TOPIC_PREFIX" {
			prefix = value
		}
	}
	endpoint := os.Getenv("CATALOG_TEST_OTLP_ENDPOINT")
	if endpoint == "" || os.Getenv("CATALOG_TEST_JAEGER_URL") == "" {
		t.Fatal("CATALOG_TEST_OTLP_ENDPOINT or CATALOG_TEST_JAEGER_URL is not set; make engines-up starts Jaeger")
	}
	// The writer has the endpoint from OpenTelemetry's variable, the others from the flag.
	migrate(t, env)
	writers, readers, api := freeport.Address(), freeport.Address(), freeport.Address()
	startProcess(t, append(env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+endpoint, "OTEL_BSP_SCHEDULE_DELAY=100"), "writer", append(flags, "-grpc", writers)...)
	env = append(env, "CATALOG_OTLP_ENDPOINT="+endpoint, "OTEL_BSP_SCHEDULE_DELAY=100")
	startProcess(t, env, "reader", append(flags, "-grpc", readers, "-writer", writers, "-index", filepath.Join(t.TempDir(), "index"))...)
	startProcess(t, env, "gateway", append(flags, "-http", api, "-writer", writers, "-reader", readers)...)
	return &server{t: t, api: "http://" + api}, prefix
}

func TestTrace_services(t *testing.T) {
	s, prefix := tracedSystem(t, "-otlp.sample", "1")
	commands, events := prefix+".commands", prefix+".events"
	a := s.must(http.StatusCreated, "POST", "/api/v1/products", chair)
	id := a.header.Get("Trace-Id")
	writer, view, index := "writer: process "+commands+" (writer)", "reader: process "+events+" (view)", "reader: process "+events+" (index)"
	want := []string{
		"gateway: POST /api/v1/products",
		"gateway: send " + commands + " < gateway: POST /api/v1/products",
		"writer: wait in " + commands + " (writer) < gateway: send " + commands,
		writer + " < gateway: send " + commands,
		"writer: settle < " + writer,
		"writer: BATCH SELECT < writer: settle",
		"writer: BATCH < writer: settle",
		"writer: send " + events + " < " + writer,
		"reader: wait in " + events + " (view) < writer: send " + events,
		view + " < writer: send " + events,
		"reader: invalidate cache < " + view,
		"reader: write view < " + view,
		"reader: insert products < reader: write view",
		"reader: save checkpoint < " + view,
		"reader: update process_checkpoints < reader: save checkpoint",
		"reader: insert process_checkpoints < reader: save checkpoint", // the first save of the reader inserts, because its update has found no document
		"reader: allow cache fills < " + view,
		"reader: wait in " + events + " (index) < writer: send " + events,
		index + " < writer: send " + events,
		"reader: write index < " + index,
	}
	const scripts = 2 // EVALSHA below invalidate cache and allow cache fills; more if Redis does not know them yet
	var spans []span
	eventually(t, "Jaeger has the trace", func() bool {
		spans = jaegerTrace(t, id)
		return len(spans) >= len(want)+scripts
	})
	// A script that Redis does not know is sent again in full. Any step of the view may have to
	// read again which generations are in use.
	spans = slices.DeleteFunc(spans, func(s span) bool { return s.name == "EVALSHA" || s.name == "EVAL" || s.name == "find generations" })
	checkTree(t, spans, slices.Clone(want))

	t.Run("the steps are in the order of the write", func(t *testing.T) {
		begin := map[string]int64{}
		for _, s := range spans {
			begin[s.label()] = s.start
		}
		order := []string{"gateway: POST /api/v1/products", "gateway: send " + commands, writer, "writer: settle", "writer: send " + events, view, "reader: invalidate cache", "reader: write view"}
		// The checkpoint is saved in the background.
		for _, last := range []string{"reader: save checkpoint", "reader: allow cache fills"} {
			steps := append(slices.Clone(order), last)
			for i := 1; i < len(steps); i++ {
				if begin[steps[i]] < begin[steps[i-1]] {
					t.Errorf("%s starts before %s", steps[i], steps[i-1])
				}
			}
		}
	})
	t.Run("no attribute has data of the product", func(t *testing.T) {
		for _, s := range spans {
			for key, value := range s.attributes {
				if strings.Contains(value, "CHA-7") || strings.Contains(value, "Folding") {
					t.Errorf("%s: %s = %q", s.label(), key, value)
				}
			}
		}
	})
}

func TestTrace_sampling(t *testing.T) {
	s, prefix := tracedSystem(t, "-otlp.sample", "0", "-otlp.keep-slow", "1ns")
	slow := s.must(http.StatusCreated, "POST", "/api/v1/products", chair)
	t.Run("a slow write that is not sampled is kept by all three services", func(t *testing.T) {
		want := []string{
			"gateway: POST /api/v1/products", "gateway: send " + prefix + ".commands",
			"writer: process " + prefix + ".commands (writer)", "writer: settle", "writer: send " + prefix + ".events",
			"reader: process " + prefix + ".events (view)", "reader: write view",
			"reader: process " + prefix + ".events (index)", "reader: write index",
		}
		eventually(t, "Jaeger has the trace", func() bool {
			var labels []string
			for _, s := range jaegerTrace(t, slow.header.Get("Trace-Id")) {
				labels = append(labels, s.label())
			}
			return !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(labels, w) })
		})
	})

	s, _ = tracedSystem(t, "-otlp.sample", "0", "-otlp.keep-slow", time.Hour.String())
	fast := s.must(http.StatusCreated, "POST", "/api/v1/products", chair)
	traced := "0af7651916cd43dd" + strings.ReplaceAll(fast.header.Get("Trace-Id"), "-", "")[16:]
	s.must(http.StatusOK, "GET", "/api/v1/products/"+fast.json(t)["id"].(string), "", "Catalog-Position", fast.header.Get("Catalog-Position"),
		"Traceparent", "00-"+traced+"-b7ad6b7169203331-01")
	t.Run("a fast write that is not sampled is not sent, a read that its caller sampled is", func(t *testing.T) {
		eventually(t, "Jaeger has the trace of the read", func() bool { return len(jaegerTrace(t, traced)) >= 3 })
		if spans := jaegerTrace(t, fast.header.Get("Trace-Id")); len(spans) != 0 {
			t.Errorf("the trace of the write has %d spans, want none", len(spans))
		}
	})
}
