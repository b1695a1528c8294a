package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
	"catalog/gateway"
	"catalog/internal/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// system is a log, a writer and a reader that are one map. It settles what is
// sent to it by the rules of the catalog.
type system struct {
	catalogv1.ReaderServiceClient // only what is overridden is called
	catalogv1.WriterServiceClient

	mu        sync.Mutex
	products  map[catalog.ID]catalog.Product
	events    []catalog.Event
	followers []eventlog.Consumer[catalog.Event]
	sendErr   error // of the next sends
	sends     int
	gone      bool  // the log does not answer at all
	readErr   error // of the reads
	silent    bool  // events are not published
	panics    bool
	onFind    func() // called when SKUs are looked up
	reads     int    // of products
	several   int    // calls for more than one
	slow      map[catalog.ID]*slow
	gateway   *gateway.Gateway
	followed  chan struct{}
}

func (s *system) SendCommands(_ context.Context, commands ...catalog.Command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sends++
	if s.panics {
		panic("the secret of the panic")
	}
	if s.gone {
		return catalog.ErrOutcomeUnknown
	}
	if s.sendErr != nil {
		return s.sendErr
	}
	known := eventlog.BatchState{Products: s.products, Settled: map[catalog.ID]bool{}, SKUs: map[string]catalog.ID{}}
	for _, e := range s.events {
		known.Settled[e.Command] = true
	}
	for _, p := range s.products {
		if p.SKU != "" {
			known.SKUs[p.SKU] = p.ID
		}
	}
	events := eventlog.Settle(eventlog.Batch{NextSeq: int64(len(s.events) + 1), Commands: commands}, known, wire.TruncateTime(time.Now()))
	s.events = append(s.events, events...)
	for _, p := range eventlog.LastVersions(events) {
		s.products[p.ID] = p
	}
	for _, f := range s.followers {
		if !s.silent {
			_ = f.Handle(context.Background(), eventlog.Records[catalog.Event]{Items: events})
		}
	}
	return nil
}

func (s *system) ConsumeAllShards(ctx context.Context, _ string, c eventlog.Consumer[catalog.Event]) error {
	if _, err := c.Begin(ctx, 0); err != nil {
		return err
	}
	s.mu.Lock()
	s.followers = append(s.followers, c)
	s.mu.Unlock()
	close(s.followed)
	<-ctx.Done()
	c.End(0)
	return nil
}

func (s *system) EventOffsets(context.Context) (starts, ends []int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil, nil, context.DeadlineExceeded
	}
	return []int64{0}, []int64{0}, nil
}

func (s *system) GetReceipt(_ context.Context, r *catalogv1.GetReceiptRequest, _ ...grpc.CallOption) (*catalogv1.GetReceiptResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if string(e.Command[:]) == string(r.GetCommandId()) {
			return &catalogv1.GetReceiptResponse{Event: wire.EventToProto(e)}, nil
		}
	}
	return nil, status.Error(codes.NotFound, "")
}

func (s *system) FindSKUs(_ context.Context, r *catalogv1.FindSKUsRequest, _ ...grpc.CallOption) (*catalogv1.FindSKUsResponse, error) {
	s.mu.Lock()
	found := &catalogv1.FindSKUsResponse{Products: map[string][]byte{}}
	for _, p := range s.products {
		if p.SKU != "" && slices.Contains(r.GetSkus(), p.SKU) {
			found.Products[p.SKU] = p.ID[:]
		}
	}
	then := s.onFind
	s.onFind = nil
	s.mu.Unlock()
	if then != nil {
		then()
	}
	return found, nil
}

// slow is a product that the reader answers when it is told to.
type slow struct{ asked, answer chan struct{} }

func (s *system) GetProduct(_ context.Context, r *catalogv1.GetProductRequest, _ ...grpc.CallOption) (*catalogv1.GetProductResponse, error) {
	s.mu.Lock()
	p := s.slow[catalog.ID(r.GetId())]
	s.mu.Unlock()
	if p != nil {
		close(p.asked)
		<-p.answer
	}
	return s.product(r)
}

func (s *system) product(r *catalogv1.GetProductRequest) (*catalogv1.GetProductResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	p, ok := s.products[catalog.ID(r.GetId())]
	switch {
	case s.readErr != nil:
		return nil, s.readErr
	case !ok || !p.Exists():
		return nil, status.Error(codes.NotFound, "")
	}
	at := &catalogv1.Position{Shard: r.GetPosition().GetShard(), Seq: int64(len(s.events))}
	return &catalogv1.GetProductResponse{Product: wire.ProductToProto(p), Position: at}, nil
}

func (s *system) GetProducts(_ context.Context, r *catalogv1.GetProductsRequest, _ ...grpc.CallOption) (*catalogv1.GetProductsResponse, error) {
	s.mu.Lock()
	s.several++
	s.mu.Unlock()
	all := &catalogv1.GetProductsResponse{}
	for _, q := range r.GetProducts() {
		a := &catalogv1.ProductResult{}
		if s.slow[catalog.ID(q.GetId())] == nil {
			one, err := s.product(q)
			a.Known, a.Position = err == nil || status.Code(err) == codes.NotFound, one.GetPosition()
			if err == nil {
				if a.Product, err = proto.Marshal(one.GetProduct()); err != nil {
					return nil, err
				}
			}
		}
		all.Results = append(all.Results, a)
	}
	return all, nil
}

// serve runs a gateway on s, and answers its address.
func serve(t *testing.T, s *system) string {
	t.Helper()
	return serveAs(t, s, gateway.Config{Near: 1 << 20, Consumers: 8})
}

func serveAs(t *testing.T, s *system, cfg gateway.Config) string {
	t.Helper()
	s.products, s.followed = map[catalog.ID]catalog.Product{}, make(chan struct{})
	g := gateway.New(cfg, s, s, s, slog.New(slog.DiscardHandler), time.Now, prometheus.NewRegistry())
	s.gateway = g
	h, err := g.Handler(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.Config = g.Server(h)
	server.Start()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		server.Close()
	})
	<-s.followed
	if err := g.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	return server.URL
}

func call(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w, string(b)
}

const lamp = `{"sku":"LAMP","name":"Lamp","price":{"amount":"20","currency":"EUR"}}`

func TestAnswersWhenOthersFail(t *testing.T) {
	id := catalog.DerivedID("p").String()
	for _, test := range []struct {
		name         string
		system       *system
		method, path string
		status       int
		code         string
		has          []string // headers
	}{
		{"a log that takes nothing", &system{sendErr: fmt.Errorf("send: %w", catalog.ErrUnavailable)}, "POST", "/api/v1/products", 503, "unavailable", []string{"Retry-After"}},
		{"a log that may have taken it", &system{sendErr: fmt.Errorf("send: %w", catalog.ErrOutcomeUnknown)}, "POST", "/api/v1/products", 504, "unknown", []string{"Command-Id"}},
		{"a reader that is gone", &system{readErr: status.Error(codes.Unavailable, "10.1.2.3 refused")}, "GET", "/api/v1/products/" + id, 503, "unavailable", []string{"Retry-After"}},
		{"a reader that is behind", &system{readErr: status.Error(codes.FailedPrecondition, "")}, "GET", "/api/v1/products/" + id, 503, "behind", []string{"Retry-After"}},
		{"a reader that is slow", &system{readErr: status.Error(codes.DeadlineExceeded, "")}, "GET", "/api/v1/products/" + id, 503, "unavailable", []string{"Retry-After"}},
		{"a question that takes too long", &system{readErr: status.Error(codes.ResourceExhausted, "")}, "GET", "/api/v1/products/" + id, 503, "unavailable", []string{"Retry-After"}},
		{"a mistake of ours", &system{readErr: errors.New("password is hunter2")}, "GET", "/api/v1/products/" + id, 500, "internal", nil},
		{"a panic", &system{panics: true}, "POST", "/api/v1/products", 500, "internal", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, body := call(t, test.method, serve(t, test.system)+test.path, lamp, "Idempotency-Key", "k-1")
			var p api.Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil || w.StatusCode != test.status || string(p.Code) != test.code {
				t.Fatalf("answered %d %s, want %d with code %s", w.StatusCode, body, test.status, test.code)
			}
			for _, name := range test.has {
				if w.Header.Get(name) == "" {
					t.Errorf("there is no %s", name)
				}
			}
			if test.status == 504 && p.IdempotencyKey != "k-1" {
				t.Errorf("the key to repeat it with is not told: %s", body)
			}
			for _, secret := range []string{"hunter2", "10.1.2.3", "secret", "goroutine"} {
				if strings.Contains(body, secret) {
					t.Errorf("the answer tells %q", secret)
				}
			}
		})
	}
}

func TestACommandThatIsNotSettledInTimeIsAccepted(t *testing.T) {
	s := &system{silent: true}
	url := serve(t, s)
	w, body := call(t, "POST", url+"/api/v1/products", lamp, "Prefer", "wait=0")
	if w.StatusCode != http.StatusAccepted || !strings.Contains(body, `"pending"`) {
		t.Fatalf("answered %d %s", w.StatusCode, body)
	}
	// What the stream of events did not bring, the journal knows.
	if w, body := call(t, "GET", url+w.Header.Get("Location"), ""); w.StatusCode != http.StatusOK || !strings.Contains(body, `"applied"`) {
		t.Fatalf("the receipt is %d %s", w.StatusCode, body)
	}
}

func TestWhoAsksNotToWaitIsAlwaysAnsweredTheReceipt(t *testing.T) {
	url := serve(t, &system{}) // settles before it answers that it took the command
	for range 50 {
		if w, body := call(t, "POST", url+"/api/v1/products", lamp, "Prefer", "respond-async"); w.StatusCode != http.StatusAccepted {
			t.Fatalf("answered %d %s", w.StatusCode, body)
		}
	}
}

func TestARepeatedKeyIsAnsweredFromTheJournal(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	first, body := call(t, "POST", url+"/api/v1/products", lamp, "Idempotency-Key", "k")
	s.mu.Lock()
	s.sendErr = catalog.ErrUnavailable // a repeat needs no log
	s.mu.Unlock()
	again, same := call(t, "POST", url+"/api/v1/products", lamp, "Idempotency-Key", "k")
	if first.StatusCode != http.StatusCreated || again.StatusCode != first.StatusCode || body != same {
		t.Fatalf("answered %d %s and then %d %s", first.StatusCode, body, again.StatusCode, same)
	}
	if other, body := call(t, "POST", url+"/api/v1/products", strings.Replace(lamp, "20", "21", 1), "Idempotency-Key", "k"); other.StatusCode != http.StatusUnprocessableEntity {
		t.Fatalf("another request with the key is answered %d %s", other.StatusCode, body)
	}
}

func TestAProductThatIsReadAgainIsAnsweredByTheGateway(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	w, body := call(t, "POST", url+"/api/v1/products", lamp)
	url += w.Header.Get("Location")
	get := func(status int, headers ...string) (string, int) {
		t.Helper()
		s.mu.Lock()
		before := s.reads
		s.mu.Unlock()
		r, got := call(t, "GET", url, "", headers...)
		if r.StatusCode != status || status == http.StatusOK && r.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("answered %d %s", r.StatusCode, got)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return r.Header.Get("ETag") + got, s.reads - before
	}
	first, _ := get(200)
	if first != `"1"`+body {
		t.Fatalf("answered %s, want %s", first, body)
	}
	// An answer is kept for a second, which may be over on a busy machine.
	kept := func(status int, want string, headers ...string) {
		t.Helper()
		for range 100 {
			got, reads := get(status, headers...)
			if got != want {
				t.Fatalf("answered %s, want %s", got, want)
			}
			if reads == 0 {
				return
			}
		}
		t.Error("the reader is asked each time")
	}
	kept(200, first)
	kept(200, first, "Catalog-Position", w.Header.Get("Catalog-Position"))
	kept(304, `"1"`, "If-None-Match", `"1"`)

	w, body = call(t, "PATCH", url, `{"name":"Table lamp"}`)
	second, reads := get(200)
	if second != `"2"`+body || reads != 1 {
		t.Fatalf("after a change answered %s with %d reads, want %s", second, reads, body)
	}
	kept(200, second, "Catalog-Position", w.Header.Get("Catalog-Position"))
	kept(200, second, "Catalog-Position", "9.1, "+w.Header.Get("Catalog-Position")) // of other shards it needs to know nothing
	if _, reads := get(200, "Catalog-Position", "0.99"); reads != 1 {
		t.Error("a position that was not followed yet is answered by the gateway")
	}
	call(t, "DELETE", url, "")
	if _, reads := get(404); reads != 1 {
		t.Error("a product that was deleted is answered by the gateway")
	}
}

func TestImport(t *testing.T) {
	results := func(t *testing.T, url string, lines ...string) []api.ImportResult {
		t.Helper()
		w, body := call(t, "POST", url+"/api/v1/imports", strings.Join(lines, "\n"), "Content-Type", "application/x-ndjson")
		if w.StatusCode != http.StatusOK {
			t.Fatalf("answered %d %s", w.StatusCode, body)
		}
		var all []api.ImportResult
		for s := bufio.NewScanner(strings.NewReader(body)); s.Scan(); {
			var r api.ImportResult
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				t.Fatalf("%v: %s", err, s.Text())
			}
			all = append(all, r)
		}
		return all
	}
	outcomes := func(all []api.ImportResult) string {
		var words []string
		for _, r := range all {
			words = append(words, fmt.Sprintf("%d %s", r.Line, r.Outcome))
		}
		return strings.Join(words, ", ")
	}
	t.Run("each line has its answer, in order", func(t *testing.T) {
		got := outcomes(results(t, serve(t, &system{}), lamp, "", `{"sku":"X"}`, `{"name":"no sku"}`, lamp, `{"sku":"LAMP","name":"Table lamp"}`, "nonsense", `{"sku":"`+strings.Repeat("x", 2<<20)+`"}`))
		if want := "1 created, 3 refused, 4 refused, 5 unchanged, 6 changed, 7 refused, 8 refused"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("an SKU that is taken meanwhile is found again", func(t *testing.T) {
		s := &system{}
		url := serve(t, s)
		s.onFind = func() { call(t, "POST", url+"/api/v1/products", lamp) }
		if got := outcomes(results(t, url, `{"sku":"LAMP","name":"Table lamp","price":{"amount":"20","currency":"EUR"}}`)); got != "1 changed" {
			t.Errorf("got %s, want 1 changed", got)
		}
	})
	t.Run("more lines than a window holds", func(t *testing.T) {
		var lines []string
		for i := range 1_203 {
			lines = append(lines, fmt.Sprintf(`{"sku":"S%d","name":"x","price":{"amount":"1","currency":"EUR"}}`, i))
		}
		all := results(t, serve(t, &system{}), lines...)
		if len(all) != 1_203 || all[1_202].Line != 1_203 || all[1_202].Outcome != "created" {
			t.Errorf("%d answers, the last %+v", len(all), all[len(all)-1])
		}
	})
	t.Run("a log that is gone is told before the answer begins", func(t *testing.T) {
		if w, body := call(t, "POST", serve(t, &system{sendErr: catalog.ErrUnavailable})+"/api/v1/imports", lamp, "Content-Type", "application/x-ndjson"); w.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("answered %d %s", w.StatusCode, body)
		}
	})
}

func TestRoutesAreThoseOfTheContract(t *testing.T) {
	var contract struct {
		Paths      map[string]map[string]any
		Components struct {
			Examples map[string]struct{ Value any }
		}
	}
	if err := yaml.Unmarshal(api.OpenAPI, &contract); err != nil {
		t.Fatal(err)
	}
	url := serve(t, &system{})
	id := "0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"
	for _, path := range slices.Sorted(maps.Keys(contract.Paths)) {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			_, said := contract.Paths[path][strings.ToLower(method)]
			w, body := call(t, method, url+strings.Replace(path, "{id}", id, 1)+"?nonsense=1", lamp)
			if is := w.StatusCode != http.StatusMethodNotAllowed; is != said {
				t.Errorf("%s %s: the contract says %v, the gateway %v: %s", method, path, said, is, body)
			}
		}
	}
	example, err := json.Marshal(contract.Components.Examples["productData"].Value)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.ParseProductData(example); err != nil {
		t.Errorf("the example of product data is refused: %v", err)
	}
	var product api.Product
	d, err := json.Marshal(contract.Components.Examples["product"].Value)
	if err == nil {
		err = json.Unmarshal(d, &product)
	}
	if err != nil || product.Version != 1 {
		t.Errorf("the example of a product cannot be read: %v", err)
	}
}
