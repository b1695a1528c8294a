package gateway_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
	"catalog/gateway"
	"catalog/internal/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// system is a fake of log, writer and reader on one map. It settles commands by
// the rules of the catalog.
type system struct {
	catalogv1.ReaderServiceClient // only the overridden methods are called
	catalogv1.WriterServiceClient

	delivery  sync.Mutex // held during SendCommands
	mu        sync.Mutex
	products  map[catalog.ID]catalog.Product
	events    []catalog.Event
	followers []eventlog.Consumer[catalog.Event]
	sendErr   error // returned by Send
	roomErr   error // returned by room
	sends     int
	gone      bool  // the log does not respond at all
	readErr   error // returned by reads
	silent    bool  // events are not published
	panics    bool
	onFind    func()                            // called when SKUs are looked up
	reads     int                               // products read
	search    *catalogv1.SearchProductsRequest  // the last search
	page      *catalogv1.SearchProductsResponse // the result of searches; nil for none
	batches   int                               // calls of GetProducts
	slow      map[catalog.ID]*slow
	gateway   *gateway.Gateway
	metrics   *prometheus.Registry
	followed  chan struct{}
	now       func() time.Time // of the gateway; nil for time.Now
}

func (s *system) SendCommands(_ context.Context, commands ...catalog.Command) error {
	s.delivery.Lock() // keeps the events in order
	defer s.delivery.Unlock()
	events, followers, err := s.settle(commands)
	for _, f := range followers {
		_ = f.Handle(context.Background(), eventlog.Records[catalog.Event]{Items: events})
	}
	return err
}

// settle settles the commands, and returns their events and the consumers that get them.
func (s *system) settle(commands []catalog.Command) ([]catalog.Event, []eventlog.Consumer[catalog.Event], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sends++
	if s.panics {
		panic("the secret of the panic")
	}
	if s.gone {
		return nil, nil, catalog.ErrOutcomeUnknown
	}
	if s.sendErr != nil {
		return nil, nil, s.sendErr
	}
	known := eventlog.GroupState{Products: s.products, Settled: map[eventlog.ShardCommand]bool{}}
	for _, e := range s.events {
		known.Settled[eventlog.ShardCommand{Command: e.Command}] = true
	}
	for _, p := range s.products {
		known.SKUs.Add(p.ID, p.SKU, catalog.SKUKey(p.SKU))
	}
	events := eventlog.Settle(eventlog.Group{{NextSeq: int64(len(s.events) + 1), Commands: commands}}, known, wire.TruncateTime(time.Now()))[0].Events
	s.events = append(s.events, events...)
	for _, p := range eventlog.LastVersions(events) {
		s.products[p.ID] = p
	}
	if s.silent {
		return events, nil, nil
	}
	return events, slices.Clone(s.followers), nil
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

func (s *system) CommandEnds(context.Context) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []int64{int64(len(s.events))}, nil
}

func (s *system) Writable(ctx context.Context) error {
	_, _, err := s.EventOffsets(ctx)
	return err
}

func (s *system) GetReceipt(_ context.Context, r *catalogv1.GetReceiptRequest, _ ...grpc.CallOption) (*catalogv1.GetReceiptResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr != nil {
		return nil, s.readErr
	}
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
	var skus eventlog.SKUOwners
	for _, p := range s.products {
		skus.Add(p.ID, p.SKU, catalog.SKUKey(p.SKU))
	}
	for sku, id := range skus.Owners(r.GetSkus()) {
		found.Products[sku] = id[:]
	}
	then := s.onFind
	s.onFind = nil
	s.mu.Unlock()
	if then != nil {
		then()
	}
	return found, nil
}

// slow is a product whose read ends when release is closed.
type slow struct{ asked, release chan struct{} }

func (s *system) GetProduct(_ context.Context, r *catalogv1.GetProductRequest, _ ...grpc.CallOption) (*catalogv1.GetProductResponse, error) {
	s.mu.Lock()
	p := s.slow[catalog.ID(r.GetId())]
	s.mu.Unlock()
	if p != nil {
		close(p.asked)
		<-p.release
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
	s.batches++
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

// replies is a stream of a server's replies.
type replies[T any] struct {
	grpc.ClientStream
	list []*T
}

func (a *replies[T]) Recv() (*T, error) {
	if len(a.list) == 0 {
		return nil, io.EOF
	}
	m := a.list[0]
	a.list = a.list[1:]
	return m, nil
}

func (s *system) Snapshot(context.Context, *catalogv1.SnapshotRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[catalogv1.SnapshotResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &replies[catalogv1.SnapshotResponse]{list: []*catalogv1.SnapshotResponse{{NextSeq: int64(len(s.events) + 1)}}}, s.readErr
}

func (s *system) Replay(_ context.Context, r *catalogv1.ReplayRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[catalogv1.ReplayResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &replies[catalogv1.ReplayResponse]{}
	for _, e := range s.events[r.GetFromSeq()-1 : r.GetToSeq()] {
		a.list = append(a.list, &catalogv1.ReplayResponse{Events: []*catalogv1.Event{wire.EventToProto(e)}})
	}
	return a, s.readErr
}

func (s *system) ListHistory(_ context.Context, r *catalogv1.ListHistoryRequest, _ ...grpc.CallOption) (*catalogv1.ListHistoryResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr != nil {
		return nil, s.readErr
	}
	a := &catalogv1.ListHistoryResponse{}
	there := false
	for _, e := range slices.Backward(s.events) {
		if e.Product.ID != catalog.ID(r.GetProductId()) || !e.Applied() {
			continue
		}
		there = true
		if (r.GetBeforeVersion() == 0 || e.Product.Version < r.GetBeforeVersion()) && len(a.Events) < int(r.GetLimit()) {
			a.Events = append(a.Events, wire.EventToProto(e))
		}
	}
	if !there {
		return nil, status.Error(codes.NotFound, "")
	}
	return a, nil
}

func (s *system) SearchProducts(_ context.Context, r *catalogv1.SearchProductsRequest, _ ...grpc.CallOption) (*catalogv1.SearchProductsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.search = r
	if s.page != nil {
		return s.page, s.readErr
	}
	return &catalogv1.SearchProductsResponse{}, s.readErr
}

func (s *system) SuggestProducts(context.Context, *catalogv1.SuggestProductsRequest, ...grpc.CallOption) (*catalogv1.SuggestProductsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &catalogv1.SuggestProductsResponse{}, s.readErr
}

// set changes the system under its lock.
func (s *system) room(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roomErr
}

func (s *system) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// serve runs a gateway on s and returns its address.
func serve(t *testing.T, s *system) string {
	t.Helper()
	return serveConfig(t, s, gateway.Config{CacheSize: 1 << 20, MaxSubscribers: 8})
}

func serveConfig(t *testing.T, s *system, cfg gateway.Config) string {
	t.Helper()
	return serveLogging(t, s, cfg, slog.New(slog.DiscardHandler))
}

func serveLogging(t *testing.T, s *system, cfg gateway.Config, logger *slog.Logger) string {
	t.Helper()
	s.products, s.followed = map[catalog.ID]catalog.Product{}, make(chan struct{})
	s.metrics = prometheus.NewRegistry()
	if s.now == nil {
		s.now = time.Now
	}
	g := gateway.New(cfg, gateway.Dependencies{
		Log: s, Reader: s, Writer: s, Room: s.room, Logger: logger, Now: s.now, Metrics: s.metrics,
	})
	s.gateway = g
	h, err := g.Handler(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.Config = g.Server(h, func(host string) bool { return host != "evil.example" })
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
		if r.Header.Set(headers[i], headers[i+1]); headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	return roundTrip(t, r)
}

// roundTrip sends a request and returns the response with its body.
func roundTrip(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
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

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); {
		if time.Now().After(end) {
			t.Fatalf("still not after 20 s: %s", what)
		}
	}
}

const lamp = `{"sku":"LAMP","name":"Lamp","price":{"amount":"20","currency":"EUR"}}`

// lamps returns a function that returns product data with a new SKU.
func lamps() func() string {
	n := 0
	return func() string {
		n++
		return strings.Replace(lamp, "LAMP", fmt.Sprintf("LAMP-%d", n), 1)
	}
}
