package gateway_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"catalog/gateway"
	"catalog/internal/logging"
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

func TestAccessLog(t *testing.T) {
	request := func(t *testing.T, access bool) string {
		var logs lockedBuffer
		logger := slog.New(logging.NewHandler(&logs, "gateway", logging.Config{Format: logging.Text}))
		url := serveLogging(t, &system{}, gateway.Config{LogAccess: access}, logger)
		call(t, http.MethodPost, url+"/api/v1/products?secret=query", `{"name":"secret body","price":12}`)
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
