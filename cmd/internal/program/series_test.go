package program

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"catalog/engine/embedded"
	"catalog/engine/kafka"
	"catalog/engine/redis"
	"catalog/engine/sqlite"
	"catalog/gateway"
	"catalog/internal/daemon"
	"catalog/internal/engines"
	"catalog/internal/engines/query"
	"catalog/internal/metrics/metricstest"
	"catalog/reader/projection"
	"catalog/writer"
)

const (
	seriesShards = 64
	maxSeries    = 1500
	// notEmbedded is an upper limit of the series that a service has on real engines and not here:
	// 8 of a pool, and the calls of PostgreSQL or MongoDB, of which there are at most 10 operations
	// with an error each, in 14 series.
	notEmbedded = 8 + 10*14
)

// TestSeries runs the three services, each with a registry of its own, on embedded
// engines with 64 shards, calls every operation with its usual outcomes, and counts
// the series of each service.
func TestSeries(t *testing.T) {
	dir, err := embedded.Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dir.Close)
	brokers, err := dir.Kafka()
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), dir.Path("catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	processes := map[string]*Process{}
	open := func(name string) (*Process, *kafka.Log) {
		p, err := Open(t.Context(), name, Config{Daemon: daemon.Config{AdminAddr: "127.0.0.1:0", ShutdownTimeout: time.Minute}}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		log, err := engines.CreateKafka(t.Context(), p.Engines, kafka.Config{Brokers: brokers, Partitions: seriesShards, Replicas: 1})
		if err != nil {
			t.Fatal(err)
		}
		processes[name] = p
		return p, log
	}
	run := func(p *Process, parts ...daemon.Part) {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx, parts...) }()
		t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}

	w, wLog := open("writer")
	store := sqlite.NewStore(db)
	if err := store.InitShards(t.Context(), seriesShards); err != nil {
		t.Fatal(err)
	}
	wServer, wAddr, wGRPC, err := w.GRPC("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	run(w, wGRPC, w.Writer(store, wLog, writer.Config{}, wServer))

	r, rLog := open("reader")
	cfg := query.Config{Redis: redis.Config{URL: "redis://" + miniredis.RunT(t).Addr()}, IndexFolder: dir.Path("index")}
	rc := ReaderConfig{Log: rLog, View: projection.NewGenerationalView(sqlite.NewView(db))}
	if rc.Cache, err = query.OpenCache(t.Context(), r.Engines, cfg, seriesShards); err != nil {
		t.Fatal(err)
	}
	if rc.Index, err = query.OpenIndex(t.Context(), r.Engines, cfg); err != nil {
		t.Fatal(err)
	}
	if rc.Writer, err = r.Dial(wAddr.String()); err != nil {
		t.Fatal(err)
	}
	rServer, rAddr, rGRPC, err := r.GRPC("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, rParts := r.Reader(rc, rServer)
	run(r, append(rParts, rGRPC)...)

	g, gLog := open("gateway")
	toReader, err := g.Dial(rAddr.String())
	if err != nil {
		t.Fatal(err)
	}
	toWriter, err := g.Dial(wAddr.String())
	if err != nil {
		t.Fatal(err)
	}
	parts, addr, err := g.Gateway(gateway.Config{CacheSize: 1 << 20, MaxSubscribers: 10}, gLog, toReader, toWriter, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	run(g, parts...)
	waitUntilReady(t.Context(), g.Engines.Checks())
	waitUntilReady(t.Context(), r.Engines.Checks())
	callEveryRoute(t, "http://"+addr.String())

	documented := documentedMetrics(t)
	for name, p := range processes {
		n := metricstest.Count(t, p.Telemetry.Registry) + notEmbedded
		t.Logf("%s: at most %d series", name, n)
		if n > maxSeries {
			t.Errorf("%s has %d series, want at most %d", name, n, maxSeries)
		}
		families, err := p.Telemetry.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_") || f.GetName() == "db_client_operation_duration_seconds" || f.GetName() == "messaging_client_operation_duration_seconds" {
				continue // the last two are variables of the process, which runs all three services here
			}
			if !slices.Contains(documented[f.GetName()], name) {
				t.Errorf("docs/metrics.md does not have %s for the %s", f.GetName(), name)
			}
			if n := metricstest.Count(t, p.Telemetry.Registry, f.GetName()); n > 100 {
				t.Logf("%s: %d series of %s", name, n, f.GetName())
			}
		}
	}
	t.Run("the metrics of the readiness checks agree with /readyz", func(t *testing.T) {
		for name, p := range processes {
			for _, c := range p.Engines.Checks() {
				// A check that fails under load is repeated within seconds.
				end := time.Now().Add(5 * time.Minute)
				for metricstest.Value(t, p.Telemetry.Registry, "catalog_ready", "check", c.Name) != 1 {
					if time.Now().After(end) {
						t.Fatalf("catalog_ready of %s in the %s is not 1 after five minutes", c.Name, name)
					}
					time.Sleep(20 * time.Millisecond)
				}
			}
		}
	})
	t.Run("a client that asks for OpenMetrics gets it", func(t *testing.T) {
		q := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		q.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
		got := httptest.NewRecorder()
		g.Telemetry.Metrics().ServeHTTP(got, q)
		if !strings.HasPrefix(got.Header().Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(got.Body.String(), "# EOF\n") {
			t.Errorf("Content-Type %q; want OpenMetrics", got.Header().Get("Content-Type"))
		}
	})
	t.Run("the figures of a load moved", func(t *testing.T) {
		for _, m := range []struct {
			service, name string
			labels        []string
		}{
			{"gateway", "http_server_request_duration_seconds", []string{"http_route", "/api/v1/products/:id", "http_response_status_code", "412"}},
			{"gateway", "http_server_request_duration_seconds", []string{"http_route", "_OTHER"}},
			{"gateway", "catalog_import_rows_total", []string{"result", "created"}},
			{"gateway", "catalog_import_rows_total", []string{"result", "refused"}},
			{"gateway", "catalog_cache_lookups_total", []string{"tier", "near"}},
			{"gateway", "rpc_client_call_duration_seconds", []string{"rpc_method", "catalog.v1.ReaderService/SearchProducts", "rpc_response_status_code", "OK"}},
			{"gateway", "catalog_build_info", nil},
			{"gateway", "messaging_process_duration_seconds", []string{"messaging_destination_name", "events", "consumer", "gateway"}},
			{"writer", "catalog_writer_commands_total", []string{"outcome", "created"}},
			{"writer", "catalog_writer_refusals_total", []string{"reason", "version_mismatch"}},
			{"writer", "catalog_writer_price_changes_total", []string{"direction", "down"}},
			{"writer", "catalog_writer_price_changes_total", []string{"direction", "up"}},
			{"writer", "catalog_writer_step_duration_seconds", []string{"step", "settle"}},
			{"writer", "catalog_writer_step_duration_seconds", []string{"step", "publish"}},
			{"writer", "catalog_writer_batch_commands", nil},
			{"writer", "catalog_writer_command_age_seconds", nil},
			{"writer", "catalog_shards_owned", []string{"consumer", "writer"}},
			{"writer", "rpc_server_call_duration_seconds", []string{"rpc_method", "catalog.v1.WriterService/GetReceipt"}},
			{"reader", "catalog_view_delay_seconds", []string{"consumer", "view"}},
			{"reader", "catalog_view_delay_seconds", []string{"consumer", "index"}},
			{"reader", "catalog_reader_step_duration_seconds", []string{"consumer", "view", "step", "invalidate"}},
			{"reader", "catalog_reader_step_duration_seconds", []string{"consumer", "view", "step", "checkpoint"}},
			{"reader", "catalog_reader_step_duration_seconds", []string{"consumer", "index", "step", "write"}},
			{"reader", "catalog_reader_batch_events", []string{"consumer", "view"}},
			{"reader", "catalog_search_duration_seconds", []string{"kind", "text", "facets", "true"}},
			{"reader", "catalog_search_duration_seconds", []string{"kind", "list", "facets", "false"}},
			{"reader", "catalog_search_duration_seconds", []string{"kind", "exact"}},
			{"reader", "catalog_search_duration_seconds", []string{"kind", "suggest"}},
			{"reader", "db_client_connection_count", []string{"db_client_connection_pool_name", "redis"}},
			{"reader", "catalog_disk_free_bytes", []string{"path", "index"}},
			{"reader", "catalog_disk_size_bytes", []string{"path", "index"}},
			{"reader", "catalog_log_lines_total", []string{"level", "info"}},
		} {
			if metricstest.Value(t, processes[m.service].Telemetry.Registry, m.name, m.labels...) == 0 {
				t.Errorf("%s of the %s with %v is 0", m.name, m.service, m.labels)
			}
		}
	})
}

// callEveryRoute sends the usual requests and mistakes of clients to every operation. It
// repeats a request that a busy machine has not completed in time.
func callEveryRoute(t *testing.T, url string) {
	t.Helper()
	const (
		chair  = `{"sku":"CHA-7","name":"Chair","price":{"amount":"149.90","currency":"EUR"},"category":"Chairs"}`
		id     = "01a209f6-9b44-7a92-ae27-0da7b150412a"
		absent = "01a209f6-9b44-7a92-ae27-0da7b1504aaa"
		at     = "/api/v1/products/"
	)
	jsonType := []string{"Content-Type", "application/json"}
	// once sends a request and reports whether it is to be repeated.
	once := func(method, path, body string, header ...string) (position string, again bool) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		q, err := http.NewRequestWithContext(ctx, method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Prefer", "wait=30")
		for i := 0; i+1 < len(header); i += 2 {
			q.Header.Set(header[i], header[i+1])
		}
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		defer r.Body.Close()
		position = r.Header.Get("Catalog-Position")
		switch r.StatusCode {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return position, true
		case http.StatusAccepted:
			return position, !slices.Contains(header, "Prefer")
		}
		if r.Header.Get("Content-Type") == "text/event-stream" {
			return position, false
		}
		result, _ := io.ReadAll(r.Body)
		return position, strings.Contains(string(result), `"outcome":"pending"`) // a row of the import is pending
	}
	call := func(method, path, body string, header ...string) (position string) {
		t.Helper()
		for end := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
			position, again := once(method, path, body, header...)
			if !again {
				return position
			}
			if time.Now().After(end) {
				t.Fatalf("%s %s is not completed within five minutes", method, path)
			}
		}
	}
	with := func(more ...string) []string { return append(slices.Clone(jsonType), more...) }
	call("PUT", at+id, chair, jsonType...)                                                                            // 201
	call("PUT", at+id, strings.Replace(chair, "149.90", "99.90", 1), jsonType...)                                     // 200, a lower price
	position := call("PATCH", at+id, `{"price":{"amount":"109.90"}}`, "Content-Type", "application/merge-patch+json") // 200, a higher price
	call("PUT", at+id, chair, with("If-Match", `"99"`)...)                                                            // 412
	call("PUT", at+id, chair, with("Prefer", "wait=0")...)                                                            // 202
	call("PUT", at+absent, chair, jsonType...)                                                                        // 409
	call("PUT", at+id, `{}`, jsonType...)                                                                             // 400
	call("PUT", at+id, chair, "Content-Type", "text/plain")                                                           // 415
	call("POST", "/api/v1/products", strings.Replace(chair, "CHA-7", "CHA-8", 1), with("Idempotency-Key", "k1")...)   // 201
	call("POST", "/api/v1/products", strings.Replace(chair, "CHA-7", "CHA-9", 1), with("Idempotency-Key", "k1")...)   // 422
	call("POST", "/api/v1/products", chair, jsonType...)                                                              // 409
	call("POST", "/api/v1/products", `{}`, jsonType...)                                                               // 400
	call("POST", "/api/v1/products", chair, "Content-Type", "text/plain")                                             // 415
	call("PATCH", at+absent, `{"name":"x"}`, jsonType...)                                                             // 404
	call("PATCH", at+id, `{"name":""}`, jsonType...)                                                                  // 400
	call("PATCH", at+id, `{"name":"Armchair"}`, with("If-Match", `"99"`)...)                                          // 412
	for range 2 {
		call("GET", at+id, "", "Catalog-Position", position) // 200
	}
	call("GET", at+id, "", "If-None-Match", `"3"`) // 304 or 200
	call("GET", at+absent, "")                     // 404
	call("GET", at+"x", "")                        // 400
	for _, query := range []string{"", "?q=chair&facets=true", "?q=chair", "?gtin=4006381333931", "?limit=1000"} {
		call("GET", "/api/v1/products"+query, "", "Catalog-Position", position) // 200, the last one 400
	}
	call("GET", "/api/v1/suggest?q=cha", "", "Catalog-Position", position) // 200
	call("GET", "/api/v1/suggest", "")                                     // 400
	call("GET", at+id+"/history", "")                                      // 200
	call("GET", at+absent+"/history", "")                                  // 404
	call("GET", at+id+"/history?limit=x", "")                              // 400
	call("POST", at+id+"/restore", `{"version":1}`, jsonType...)           // 200
	call("POST", at+absent+"/restore", `{"version":1}`, jsonType...)       // 404
	call("POST", at+id+"/restore", `{}`, jsonType...)                      // 400
	call("GET", "/api/v1/commands/"+absent, "")                            // 404
	call("GET", "/api/v1/commands/x", "")                                  // 400
	call("GET", "/api/v1/changes", "")                                     // 200, ends when the client disconnects
	call("GET", "/api/v1/changes", "", "Last-Event-ID", "x")               // 400
	call("POST", "/api/v1/imports", `{"sku":"IMP-1","name":"Lamp","price":{"amount":"5","currency":"EUR"}}
{"sku":"IMP-2"}
`, "Content-Type", "application/x-ndjson", "Idempotency-Key", "k2") // 200; a row that is sent again counts as created
	call("POST", "/api/v1/imports", "x", jsonType...) // 415
	call("DELETE", at+id, "", "If-Match", `"99"`)     // 412
	call("DELETE", at+id, "")                         // 204
	call("DELETE", at+absent, "")                     // 404
	call("DELETE", at+"x", "")                        // 400
	call("DELETE", "/api/v1/products", "")            // 405
	call("PROPFIND", "/", "")                         // 405
	call("HEAD", at+absent, "")                       // 404 or 405
	for _, page := range []string{"/", "/docs/", "/openapi.json", "/no/such/page", "/nor/this"} {
		call("GET", page, "")
	}
}

// documentedMetrics returns the services of each metric in docs/metrics.md.
func documentedMetrics(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|[^|]*\\|[^|]*\\| ([a-z, ]+) \\|").FindAllStringSubmatch(string(b), -1) {
		all[row[1]] = strings.Split(row[2], ", ")
	}
	return all
}
