package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"catalog"
	"catalog/gateway"
	"catalog/internal/logging"
	"catalog/internal/metrics/metricstest"
)

// lockedBuffer is a buffer that several goroutines write to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *lockedBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}

// serveLogged runs a gateway on s that logs to logs, and returns its address.
func serveLogged(t *testing.T, s *system, logs *lockedBuffer) string {
	t.Helper()
	return serveLogging(t, s, gateway.Config{}, slog.New(logging.NewHandler(logs, "gateway", logging.Config{Format: logging.Text})))
}

func TestClientLeaves(t *testing.T) {
	s, id := &system{}, catalog.DerivedID("p")
	p := &slow{make(chan struct{}), make(chan struct{})}
	s.slow = map[catalog.ID]*slow{id: p}
	url := serve(t, s)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/products/"+id.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan error)
	go func() {
		w, err := http.DefaultClient.Do(r)
		if err == nil {
			w.Body.Close()
		}
		left <- err
	}()
	<-p.asked
	defer close(p.release)
	leave()
	if err := <-left; err == nil {
		t.Error("void: the request had a response")
	}
	eventually(t, "the request has ended", func() bool { return metricstest.Value(t, s.metrics, "http_server_active_requests") == 0 })
	for code, want := range map[string]float64{"499": 1, "500": 0, "503": 0, "504": 0} {
		if n := metricstest.Value(t, s.metrics, "http_server_request_duration_seconds", "http_response_status_code", code); n != want {
			t.Errorf("requests with status %s = %v; want %v", code, n, want)
		}
	}
}

// TestClientLeaves_response covers the files of the documentation, since their responses do
// not fit into the buffers of a connection.
func TestClientLeaves_response(t *testing.T) {
	for name, encoding := range map[string]string{"a compressed file": "gzip", "a file that the gateway decompresses": "identity"} {
		t.Run("a client that leaves in the middle of "+name+" is no error", func(t *testing.T) {
			var logs lockedBuffer
			s := &system{}
			url := serveLogged(t, s, &logs)
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.(*net.TCPConn).SetLinger(0) // Close then breaks the connection
			fmt.Fprintf(conn, "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: %s\r\n\r\n", encoding)
			if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			eventually(t, "the request has ended", func() bool {
				return metricstest.Value(t, s.metrics, "http_server_request_duration_seconds", "http_route", "/docs/*") == 1
			})
			if strings.Contains(logs.String(), "ERROR") {
				t.Errorf("log = %q; want no error", logs.String())
			}
		})
	}
}

func TestAccessLog(t *testing.T) {
	request := func(t *testing.T, access bool) string {
		var logs lockedBuffer
		s := &system{}
		logger := slog.New(logging.NewHandler(&logs, "gateway", logging.Config{Format: logging.Text}))
		url := serveLogging(t, s, gateway.Config{LogAccess: access}, logger)
		call(t, http.MethodPost, url+"/api/v1/products?secret=query", `{"name":"secret body","price":12}`)
		eventually(t, "the request has ended", func() bool { return metricstest.Value(t, s.metrics, "http_server_active_requests") == 0 })
		return logs.String()
	}
	t.Run("a line has method, route, status, duration and bytes, and nothing of the body or the query", func(t *testing.T) {
		line := request(t, true)
		for _, want := range []string{" INFO  request ", " method=POST route=/api/v1/products status=400 took=", "s bytes="} {
			if !strings.Contains(line, want) {
				t.Errorf("log = %q; want %q in it", line, want)
			}
		}
		if strings.Contains(line, "secret") || strings.Contains(line, "bytes=0") {
			t.Errorf("log = %q; want neither body nor query, and the size of the problem", line)
		}
	})
	t.Run("there is none without -log.access", func(t *testing.T) {
		if line := request(t, false); strings.Contains(line, "request") {
			t.Errorf("log = %q; want no line", line)
		}
	})
}
