package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/rpc"
)

// failing answers every receipt with err, or panics when there is none.
type failing struct {
	catalogv1.UnimplementedWriterServiceServer
	err error
}

func (f failing) GetReceipt(context.Context, *catalogv1.GetReceiptRequest) (*catalogv1.GetReceiptResponse, error) {
	if f.err == nil {
		panic("the secret of the panic")
	}
	return nil, f.err
}

// call asks a server that fails with err and answers what the client gets and
// what the server logs.
func call(t *testing.T, fail error, request *catalogv1.GetReceiptRequest) (answered string, _ error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	s := rpc.NewServer(slog.New(slog.NewTextHandler(&log, nil)), reg)
	catalogv1.RegisterWriterServiceServer(s, failing{err: fail})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	c, err := rpc.Dial(l.Addr().String(), reg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := rpc.Ping(c)(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = catalogv1.NewWriterServiceClient(c).GetReceipt(t.Context(), request)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return log.String(), err
}

func TestErrors(t *testing.T) {
	id := make([]byte, 16)
	for _, test := range []struct {
		name string
		err  error
		code codes.Code
	}{
		{"what is not there", fmt.Errorf("product x: %w", catalog.ErrNotFound), codes.NotFound},
		{"a wrong field", catalog.Invalid("cursor", "is broken"), codes.InvalidArgument},
		{"a read side that is behind", catalog.ErrStale, codes.FailedPrecondition},
		{"a question that takes too long", fmt.Errorf("search: %w", catalog.ErrTooSlow), codes.ResourceExhausted},
		{"an engine that is gone", fmt.Errorf("mongo: %w", catalog.ErrUnavailable), codes.Unavailable},
		{"a deadline that passed", context.DeadlineExceeded, codes.DeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			log, err := call(t, test.err, &catalogv1.GetReceiptRequest{CommandId: id})
			if status.Code(err) != test.code || log != "" {
				t.Fatalf("the client got %v and the log says %q", err, log)
			}
		})
	}
	t.Run("what is ours to mend is logged and not told", func(t *testing.T) {
		log, err := call(t, errors.New("password is hunter2"), &catalogv1.GetReceiptRequest{CommandId: id})
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "hunter2") || !strings.Contains(log, "hunter2") {
			t.Fatalf("the client got %v and the log says %q", err, log)
		}
	})
	t.Run("a panic is an internal error", func(t *testing.T) {
		log, err := call(t, nil, &catalogv1.GetReceiptRequest{CommandId: id})
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") || !strings.Contains(log, "secret") {
			t.Fatalf("the client got %v and the log says %q", err, log)
		}
	})
	t.Run("a request that breaks the contract names the field", func(t *testing.T) {
		_, err := call(t, nil, &catalogv1.GetReceiptRequest{CommandId: []byte("short")})
		if f := rpc.Fields(err); status.Code(err) != codes.InvalidArgument || len(f) != 1 || f[0].Field != "command_id" {
			t.Fatalf("the client got %v with the fields %v", err, f)
		}
	})
}
