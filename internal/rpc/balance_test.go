package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/engine/enginetest/freeport"
	"catalog/internal/rpc"
)

// writer counts receipts, and answers none while it is frozen.
type writer struct {
	catalogv1.UnimplementedWriterServiceServer
	address string
	calls   atomic.Int64
	frozen  atomic.Bool
	stop    func()
}

func (w *writer) GetReceipt(ctx context.Context, _ *catalogv1.GetReceiptRequest) (*catalogv1.GetReceiptResponse, error) {
	w.calls.Add(1)
	if w.frozen.Load() {
		<-ctx.Done()
	}
	return nil, catalog.ErrNotFound
}

// serve starts a writer at the address.
func serve(t testing.TB, address string) *writer {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	w := &writer{address: l.Addr().String(), stop: s.Stop}
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

func dial(t testing.TB, targets ...string) (call func(patience time.Duration) codes.Code) {
	t.Helper()
	c, err := rpc.Dial(strings.Join(targets, ","), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	client, request := catalogv1.NewWriterServiceClient(c), &catalogv1.GetReceiptRequest{CommandId: make([]byte, 16)}
	return func(patience time.Duration) codes.Code {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, err := client.GetReceipt(ctx, request)
		return status.Code(err)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

func TestSeveralServersAreAsOne(t *testing.T) {
	const anHour = time.Hour // no call may take it
	one, two := serve(t, freeport.Address()), serve(t, freeport.Address())
	call := dial(t, one.address, two.address)
	for one.calls.Load() == 0 || two.calls.Load() == 0 {
		if code := call(anHour); code != codes.NotFound {
			t.Fatalf("answered %v", code)
		}
	}
	t.Run("one that freezes costs a few calls their time, and no more", func(t *testing.T) {
		two.frozen.Store(true)
		lost := 0
		for range 200 {
			switch code := call(50 * time.Millisecond); code {
			case codes.NotFound:
			case codes.DeadlineExceeded:
				lost++
			default:
				t.Fatalf("answered %v", code)
			}
		}
		if lost < 1 || lost > 60 {
			t.Errorf("%d calls of 200 were lost", lost)
		}
	})
	t.Run("it is asked again when it wakes", func(t *testing.T) {
		two.frozen.Store(false)
		before := two.calls.Load()
		eventually(t, "both are asked", func() bool { call(time.Second); return two.calls.Load() > before+10 })
	})
	t.Run("one that dies costs nothing", func(t *testing.T) {
		one.stop()
		for range 200 {
			if code := call(anHour); code != codes.NotFound {
				t.Fatalf("answered %v", code)
			}
		}
	})
	t.Run("one that comes back is asked again", func(t *testing.T) {
		again := serve(t, one.address)
		eventually(t, "both are asked", func() bool { call(anHour); return again.calls.Load() > 10 })
	})
}

func TestWithoutServersCallsFailAtOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		fail func(*writer)
		mend func(*testing.T, *writer)
	}{
		{"one that is frozen", func(w *writer) { w.frozen.Store(true) }, func(_ *testing.T, w *writer) { w.frozen.Store(false) }},
		{"one that is dead", func(w *writer) { w.stop() }, func(t *testing.T, w *writer) { serve(t, w.address) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := serve(t, freeport.Address())
			call := dial(t, w.address)
			if code := call(time.Hour); code != codes.NotFound {
				t.Fatalf("answered %v", code)
			}
			test.fail(w)
			eventually(t, "that is known", func() bool { return call(100*time.Millisecond) == codes.Unavailable })
			// Of those who come now, one in a quarter of a second is asked to try.
			slow := 0
			for range 1000 {
				since := time.Now()
				if code := call(100 * time.Millisecond); code == codes.NotFound {
					t.Fatalf("answered %v", code)
				}
				if time.Since(since) > 50*time.Millisecond {
					slow++
				}
			}
			if slow > 100 {
				t.Errorf("%d calls of 1000 were not answered within 50 ms", slow)
			}
			test.mend(t, w)
			eventually(t, "it answers again", func() bool { return call(time.Second) == codes.NotFound })
		})
	}
}

// refuser is a server, not one of ours, that answers every call, but health,
// that it is not available.
func refuser(t *testing.T) (address string, calls *atomic.Int64) {
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
	healthpb.RegisterHealthServer(s, well{})
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String(), calls
}

type well struct {
	healthpb.UnimplementedHealthServer
}

func (well) Watch(_ *healthpb.HealthCheckRequest, s healthpb.Health_WatchServer) error {
	if err := s.Send(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}); err != nil {
		return err
	}
	<-s.Context().Done()
	return nil
}

func TestRetriesAreNoStorm(t *testing.T) {
	const asked = 2000
	address, calls := refuser(t)
	call := dial(t, address)
	for range asked {
		if code := call(time.Hour); code != codes.Unavailable {
			t.Fatalf("answered %v", code)
		}
	}
	if got := calls.Load(); got <= asked || got > asked*11/10 {
		t.Errorf("%d calls were made of %d: void without retries, a storm with more than a tenth", got, asked)
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
