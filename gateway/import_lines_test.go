package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/gateway"
)

func TestImport_lateBody(t *testing.T) {
	const row = `{"sku":"A","name":"x","price":{"amount":"1","currency":"EUR"}}` + "\n"
	for _, test := range []struct {
		name, contentType, first, then string
		status                         int
	}{
		{"nothing", "application/x-ndjson", "", "", 400},
		{"blank lines", "application/x-ndjson", "", "\n", 400},
		{"blank lines after a row", "application/x-ndjson", row, " \n", 200},
		{"half a row, slowly", "application/x-ndjson", row + `{"sku":"`, "x", 200},
		{"the blanks of a list", "application/json", "[", " ", 400},
		{"half an entry of a list, slowly", "application/json", `[{"sku":"`, "x", 400},
		{"rows of a file without cells", "text/csv", "sku,name\n", ",\n", 400},
		{"the header of a file, slowly", "text/csv", "", "x", 400},
	} {
		t.Run("a client that sends "+test.name+" is refused after 15 s", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				since := time.Now()
				w := serveImport(t, &system{}, test.contentType, &slowBody{first: test.first, then: test.then})
				if w.Code != test.status || !strings.Contains(w.Body.String(), "did not arrive completely, or not in time") {
					t.Errorf("status %d %s; want %d and that the body is late", w.Code, w.Body, test.status)
				}
				if took := time.Since(since); took > 20*time.Second {
					t.Errorf("the import was refused after %v", took)
				}
			})
		})
	}
	t.Run("a body that has arrived is imported, however long its rows take", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const rows = 600 // the rows take two windows
			s := &system{}
			var slow func()
			slow = func() { s.set(func() { s.onFind = slow }); time.Sleep(20 * time.Second) }
			s.onFind = slow
			w := serveImport(t, s, "application/x-ndjson", &slowBody{first: strings.Repeat(`{"sku":"A"}`+"\n", rows), whole: true})
			if n := strings.Count(w.Body.String(), "\n"); w.Code != 200 || n != rows || w.missed.Load() {
				t.Errorf("status %d, %d results, request canceled: %v; want 200, %d and false", w.Code, n, w.missed.Load(), rows)
			}
		})
	})
}

// serveImport runs a gateway that imports the body.
func serveImport(t *testing.T, s *system, contentType string, body *slowBody) *deadlineRecorder {
	t.Helper()
	s.products, s.followed = map[catalog.ID]catalog.Product{}, make(chan struct{})
	g := gateway.New(gateway.Config{}, gateway.Dependencies{
		Log: s, Reader: s, Writer: s, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Metrics: prometheus.NewRegistry(),
	})
	h, err := g.Handler(nil)
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { _ = g.Run(running) }()
	<-s.followed
	ctx, cancel := context.WithCancel(running)
	w := &deadlineRecorder{ResponseRecorder: httptest.NewRecorder()}
	body.to, body.cancel, body.ended = w, cancel, running.Done()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/v1/imports", nil)
	r.Body, r.ContentLength = body, -1
	r.Header.Set("Content-Type", contentType)
	h.ServeHTTP(w, r)
	return w
}

// deadlineRecorder records a response, and the deadline of the body.
type deadlineRecorder struct {
	*httptest.ResponseRecorder
	mu       sync.Mutex
	deadline time.Time
	missed   atomic.Bool // the deadline has passed
}

func (d *deadlineRecorder) SetReadDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deadline = t
	return nil
}

// late reports whether the deadline has passed.
func (d *deadlineRecorder) late() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	late := !d.deadline.IsZero() && !time.Now().Before(d.deadline)
	d.missed.Store(late)
	return late
}

// slowBody is a body that continues, after its first part, with the same text every two
// seconds, for two minutes. Like net/http, it cancels the request when it is late, and also
// when a deadline passes after the whole body was read.
type slowBody struct {
	first, then string
	whole       bool // the first part is the body
	to          *deadlineRecorder
	cancel      func()
	ended       <-chan struct{}
	parts       int
}

func (b *slowBody) Read(p []byte) (int, error) {
	n := copy(p, b.first)
	switch b.first = b.first[n:]; {
	case b.whole && b.first == "":
		go b.watch()
		return n, io.EOF
	case n > 0:
		return n, nil
	}
	for ; b.parts < 60; b.parts++ {
		if b.to.late() {
			b.cancel()
			return 0, os.ErrDeadlineExceeded
		}
		time.Sleep(2 * time.Second)
		if n := copy(p, b.then); n > 0 {
			b.parts++
			return n, nil
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// watch cancels the request when a deadline passes.
func (b *slowBody) watch() {
	for {
		select {
		case <-b.ended:
			return
		case <-time.After(time.Second):
			if b.to.late() {
				b.cancel()
				return
			}
		}
	}
}

func (b *slowBody) Close() error { return nil }
