package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	catalogv1 "catalog/api/catalog/v1"
	"catalog/engine/enginetest/freeport"
	"catalog/internal/rpc"
)

func TestServer_servesWhenReady(t *testing.T) {
	ready, starting := serve(t, freeport.Address()), &writer{}
	var caughtUp atomic.Bool
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	catalogv1.RegisterWriterServiceServer(s, starting)
	s.ServeWhen(func(context.Context) error {
		if !caughtUp.Load() {
			return errors.New("catching up")
		}
		return nil
	})
	go func() { _ = s.Run(t.Context(), l) }()
	t.Cleanup(s.Stop)

	call := dial(t, ready.address, l.Addr().String())
	t.Run("until its check passes, a server gets no calls while another one is ready", func(t *testing.T) {
		for range 200 {
			if code := call(time.Hour); code != codes.NotFound {
				t.Fatalf("call = %v; want NotFound", code)
			}
		}
		if n := starting.calls.Load(); n != 0 {
			t.Errorf("the server got %d calls; want none", n)
		}
	})
	t.Run("a client without a health check reaches it", func(t *testing.T) {
		c, err := rpc.Dial(l.Addr().String(), prometheus.NewRegistry(), grpc.WithDisableHealthCheck())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		client := catalogv1.NewWriterServiceClient(c)
		if _, err := client.GetReceipt(t.Context(), &catalogv1.GetReceiptRequest{CommandId: make([]byte, 16)}); status.Code(err) != codes.NotFound {
			t.Errorf("call = %v; want NotFound", err)
		}
	})
	t.Run("then it gets calls", func(t *testing.T) {
		before := starting.calls.Load()
		caughtUp.Store(true)
		eventually(t, "both servers get calls", func() bool { call(time.Hour); return starting.calls.Load() > before+10 })
	})
}
