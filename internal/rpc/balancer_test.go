package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/engine/enginetest/freeport"
	"catalog/internal/rpc"
)

// writer counts receipts, and does not respond while it is frozen.
type writer struct {
	catalogv1.UnimplementedWriterServiceServer
	address string
	calls   atomic.Int64
	clients sync.Map // addresses of client connections
	frozen  atomic.Bool
	slow    atomic.Bool // receipts take longer than any caller waits, all other calls do not
	stop    func()
}

func (w *writer) GetReceipt(ctx context.Context, _ *catalogv1.GetReceiptRequest) (*catalogv1.GetReceiptResponse, error) {
	w.calls.Add(1)
	if client, ok := peer.FromContext(ctx); ok {
		w.clients.Store(client.Addr.String(), true)
	}
	if w.slow.Load() {
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return nil, catalog.ErrNotFound
}

// FindSKUs is a call that is never slow.
func (w *writer) FindSKUs(context.Context, *catalogv1.FindSKUsRequest) (*catalogv1.FindSKUsResponse, error) {
	return &catalogv1.FindSKUsResponse{}, nil
}

// serve starts a writer at the address.
func serve(t testing.TB, address string, opts ...grpc.ServerOption) *writer {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{address: l.Addr().String()}
	// A frozen process does not respond to any call, health checks included.
	frozen := grpc.ChainUnaryInterceptor(func(ctx context.Context, r any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if w.frozen.Load() {
			<-ctx.Done()
		}
		return handler(ctx, r)
	})
	s := rpc.NewServer(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), append(opts, frozen)...)
	w.stop = s.Stop
	catalogv1.RegisterWriterServiceServer(s, w)
	done := make(chan error, 1)
	go func() { done <- s.Run(context.Background(), l) }()
	t.Cleanup(func() {
		w.stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// dial returns a function that calls a writer at one of the targets, with a
// timeout, and returns the code of the call.
func dial(t testing.TB, targets ...string) (call func(timeout time.Duration) codes.Code) {
	t.Helper()
	c, err := rpc.Dial(strings.Join(targets, ","), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	client, request := catalogv1.NewWriterServiceClient(c), &catalogv1.GetReceiptRequest{CommandId: make([]byte, 16)}
	return func(timeout time.Duration) codes.Code {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		_, err := client.GetReceipt(ctx, request)
		return status.Code(err)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); {
		if time.Now().After(end) {
			t.Fatalf("still not after 20 s: %s", what)
		}
	}
}

func TestBalancer(t *testing.T) {
	const noTimeout = time.Hour // no call takes that long
	one, two := serve(t, freeport.Address()), serve(t, freeport.Address())
	call := dial(t, one.address, two.address)
	for one.calls.Load() == 0 || two.calls.Load() == 0 {
		if code := call(noTimeout); code != codes.NotFound {
			t.Fatalf("call = %v", code)
		}
	}
	t.Run("a server that freezes costs a few timeouts", func(t *testing.T) {
		two.frozen.Store(true)
		lost := 0
		for range 200 {
			switch code := call(50 * time.Millisecond); code {
			case codes.NotFound:
			case codes.DeadlineExceeded:
				lost++
			default:
				t.Fatalf("call = %v", code)
			}
		}
		if lost < 1 || lost > 60 {
			t.Errorf("%d calls of 200 timed out, want 1 to 60", lost)
		}
	})
	t.Run("the server gets calls again when it responds", func(t *testing.T) {
		two.frozen.Store(false)
		before := two.calls.Load()
		eventually(t, "both servers get calls", func() bool { call(time.Second); return two.calls.Load() > before+10 })
	})
	t.Run("a server that dies costs no call", func(t *testing.T) {
		one.stop()
		for range 200 {
			if code := call(noTimeout); code != codes.NotFound {
				t.Fatalf("call = %v", code)
			}
		}
	})
	t.Run("a server that comes back gets calls again", func(t *testing.T) {
		again := serve(t, one.address)
		eventually(t, "both servers get calls", func() bool { call(noTimeout); return again.calls.Load() > 10 })
	})
}

func TestBalancer_slowCalls(t *testing.T) {
	t.Run("callers whose calls take too long do not keep others from the server", func(t *testing.T) {
		w := serve(t, freeport.Address())
		c, err := rpc.Dial(w.address, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		client := catalogv1.NewWriterServiceClient(c)
		other := func() error {
			_, err := client.FindSKUs(t.Context(), &catalogv1.FindSKUsRequest{Skus: []string{"a"}})
			return err
		}
		if err := other(); err != nil {
			t.Fatal(err)
		}
		w.slow.Store(true)
		for range 20 { // one after the other, so that no other call succeeds between them
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			_, err := client.GetReceipt(ctx, &catalogv1.GetReceiptRequest{CommandId: make([]byte, 16)})
			cancel()
			if status.Code(err) != codes.DeadlineExceeded {
				t.Fatalf("GetReceipt = %v; want %v", err, codes.DeadlineExceeded)
			}
		}
		for range 20 {
			if err := other(); err != nil {
				t.Fatalf("FindSKUs = %v; want a response: the server is not at fault", err)
			}
		}
	})
}

func TestBalancer_connectionAge(t *testing.T) {
	t.Run("connections that a server ends because of their age cost no call", func(t *testing.T) {
		old := serve(t, freeport.Address(), grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 20 * time.Millisecond}))
		call := dial(t, old.address)
		connections := func() (n int) {
			old.clients.Range(func(any, any) bool { n++; return true })
			return n
		}
		eventually(t, "the client has opened five connections", func() bool {
			if code := call(time.Hour); code != codes.NotFound {
				t.Fatalf("call = %v", code)
			}
			return connections() >= 5
		})
	})
}

func TestBalancer_noServer(t *testing.T) {
	for _, test := range []struct {
		name   string
		fail   func(*writer)
		repair func(*testing.T, *writer)
	}{
		{"a frozen server", func(w *writer) { w.frozen.Store(true) }, func(_ *testing.T, w *writer) { w.frozen.Store(false) }},
		{"a dead server", func(w *writer) { w.stop() }, func(t *testing.T, w *writer) { serve(t, w.address) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := serve(t, freeport.Address())
			call := dial(t, w.address)
			if code := call(time.Hour); code != codes.NotFound {
				t.Fatalf("call = %v", code)
			}
			test.fail(w)
			eventually(t, "calls fail at once", func() bool { return call(100*time.Millisecond) == codes.Unavailable })
			// The breaker lets one call in a quarter of a second through.
			slow := 0
			for range 1000 {
				start := time.Now()
				if code := call(100 * time.Millisecond); code == codes.NotFound {
					t.Fatalf("call = %v", code)
				}
				if time.Since(start) > 50*time.Millisecond {
					slow++
				}
			}
			if slow > 100 {
				t.Errorf("%d calls of 1000 took longer than 50 ms, want at most 100", slow)
			}
			test.repair(t, w)
			eventually(t, "calls succeed again", func() bool { return call(time.Second) == codes.NotFound })
		})
	}
}

// unavailableServer starts a server that fails every call with UNAVAILABLE, except health checks,
// and does not ask the client to stop retrying.
func unavailableServer(t *testing.T) (address string, calls *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	calls = &atomic.Int64{}
	s := grpc.NewServer(grpc.UnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
		calls.Add(1)
		return nil, status.Error(codes.Unavailable, "")
	}))
	catalogv1.RegisterWriterServiceServer(s, catalogv1.UnimplementedWriterServiceServer{})
	healthpb.RegisterHealthServer(s, healthy{})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String(), calls
}

type healthy struct {
	healthpb.UnimplementedHealthServer
}

func (healthy) Watch(_ *healthpb.HealthCheckRequest, s healthpb.Health_WatchServer) error {
	if err := s.Send(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

func TestDial_retryBudget(t *testing.T) {
	const requests = 2000
	address, calls := unavailableServer(t)
	call := dial(t, address)
	for range requests {
		if code := call(time.Hour); code != codes.Unavailable {
			t.Fatalf("call = %v", code)
		}
	}
	if got := calls.Load(); got <= requests || got > requests*11/10 {
		t.Errorf("%d calls for %d requests; want some retries, and at most a tenth", got, requests)
	}
}

func BenchmarkCall(b *testing.B) {
	call := dial(b, serve(b, freeport.Address()).address)
	b.ReportAllocs()
	for b.Loop() {
		if code := call(time.Hour); code != codes.NotFound {
			b.Fatalf("answered %v", code)
		}
	}
}
