package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/rpc"
)

// failingWriter fails every receipt with err, or panics when err is nil.
type failingWriter struct {
	catalogv1.UnimplementedWriterServiceServer
	err error
}

func (f failingWriter) GetReceipt(context.Context, *catalogv1.GetReceiptRequest) (*catalogv1.GetReceiptResponse, error) {
	if f.err == nil {
		panic("the secret of the panic")
	}
	return nil, f.err
}

// call sends the request to a server that fails with fail. It returns the error
// that the client gets and the log of the server.
func call(t *testing.T, fail error, request *catalogv1.GetReceiptRequest) (log string, _ error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	reg := prometheus.NewRegistry()
	s := rpc.NewServer(slog.New(slog.NewTextHandler(&written, nil)), reg)
	catalogv1.RegisterWriterServiceServer(s, failingWriter{err: fail})
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
	return written.String(), err
}

func TestStatus(t *testing.T) {
	request := &catalogv1.GetReceiptRequest{CommandId: make([]byte, 16)}
	for _, kind := range catalog.ErrorKinds {
		if kind.Err == nil {
			continue
		}
		t.Run(string(kind.Code)+" keeps its code on the way to the client", func(t *testing.T) {
			log, err := call(t, fmt.Errorf("host 10.1.2.3: %w", kind.Err), request)
			if status.Code(err) != codes.Code(kind.GRPCCode) || rpc.CodeOf(err) != kind.Code || log != "" {
				t.Fatalf("the client gets %v with code %s, want %v; the log is %q", err, rpc.CodeOf(err), codes.Code(kind.GRPCCode), log)
			}
		})
	}
	t.Run("the text of an engine's error is not returned", func(t *testing.T) {
		if _, err := call(t, fmt.Errorf("mongo 10.1.2.3: %w", catalog.ErrUnavailable), request); strings.Contains(err.Error(), "10.1.2.3") {
			t.Errorf("the client gets %v", err)
		}
	})
	t.Run("a refused field keeps its name and reason", func(t *testing.T) {
		_, err := call(t, catalog.Invalid("cursor", "is broken"), request)
		if f := rpc.Fields(err); len(f) != 1 || f[0] != (catalog.FieldError{Field: "cursor", Reason: "is broken"}) {
			t.Errorf("Fields = %v", f)
		}
	})
	t.Run("a deadline that passed is DEADLINE_EXCEEDED", func(t *testing.T) {
		log, err := call(t, context.DeadlineExceeded, request)
		if status.Code(err) != codes.DeadlineExceeded || rpc.CodeOf(err) != catalog.CodeUnavailable || log != "" {
			t.Errorf("the client gets %v with code %s; the log is %q", err, rpc.CodeOf(err), log)
		}
	})
	t.Run("an unknown error is logged and not returned", func(t *testing.T) {
		log, err := call(t, errors.New("password is hunter2"), request)
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "hunter2") || !strings.Contains(log, "hunter2") {
			t.Fatalf("the client gets %v; the log is %q", err, log)
		}
	})
	t.Run("a panic is an internal error", func(t *testing.T) {
		log, err := call(t, nil, request)
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") || !strings.Contains(log, "secret") {
			t.Fatalf("the client gets %v; the log is %q", err, log)
		}
	})
	t.Run("a request that breaks the contract names the field", func(t *testing.T) {
		_, err := call(t, nil, &catalogv1.GetReceiptRequest{CommandId: []byte("short")})
		if f := rpc.Fields(err); status.Code(err) != codes.InvalidArgument || len(f) != 1 || f[0].Field != "command_id" {
			t.Fatalf("the client gets %v with the fields %v", err, f)
		}
	})
}

func TestStatus_withoutDetails(t *testing.T) {
	for code, want := range map[codes.Code]catalog.Code{
		codes.InvalidArgument: catalog.CodeInvalid, codes.NotFound: catalog.CodeNotFound, codes.FailedPrecondition: catalog.CodeStale,
		codes.ResourceExhausted: catalog.CodeOverloaded, codes.Unavailable: catalog.CodeUnavailable, codes.DeadlineExceeded: catalog.CodeUnavailable,
		codes.Canceled: catalog.CodeUnavailable, codes.Unknown: catalog.CodeInternal, codes.Aborted: catalog.CodeInternal, codes.Internal: catalog.CodeInternal,
	} {
		if got := rpc.CodeOf(status.Error(code, "from another server")); got != want {
			t.Errorf("CodeOf(%v) = %s, want %s", code, got, want)
		}
	}
}

// TestStatus_protoDocuments holds the codes that the comments of the contract
// name, as in "FAILED_PRECONDITION (stale)", against the error model.
func TestStatus_protoDocuments(t *testing.T) {
	named := regexp.MustCompile(`\b([A-Z]+(?:_[A-Z]+)*) \(([a-z_]+)\)`)
	found := 0
	for _, file := range []string{"reader.proto", "writer.proto"} {
		text, err := os.ReadFile("../../api/catalog/v1/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			var code codes.Code
			if code.UnmarshalJSON([]byte(`"`+m[1]+`"`)) != nil {
				continue
			}
			found++
			if kind := catalog.Code(m[2]).Kind(); string(kind.Code) != m[2] || codes.Code(kind.GRPCCode) != code {
				t.Errorf("%s documents %s for %s; the error model has %v", file, m[1], m[2], codes.Code(kind.GRPCCode))
			}
		}
	}
	if found < 5 {
		t.Errorf("the contract names %d codes; want those of every error that a caller must tell apart", found)
	}
}
