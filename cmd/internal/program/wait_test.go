package program

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"catalog"
	"catalog/internal/daemon"
	"catalog/internal/engines"
	"catalog/internal/metrics/metricstest"
)

func TestProcess_engineAway(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p, err := Open(t.Context(), "writer", Config{Daemon: daemon.Config{AdminAddr: "127.0.0.1:0", ShutdownTimeout: time.Minute}}, &log)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Engines.Wait = true
	if err := p.serveAdmin(); err != nil {
		t.Fatal(err)
	}
	// get returns the status of a page of the admin port, and the text of a check.
	get := func(page, check string) (int, string) {
		r, err := http.Get("http://" + p.admin.addr + page)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer r.Body.Close()
		var body struct {
			Checks map[string]string `json:"checks"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body) // /livez is text
		return r.StatusCode, body.Checks[check]
	}
	var back atomic.Bool
	waiting := make(chan struct{}, 1)
	opened := make(chan error, 1)
	go func() {
		_, err := engines.Retry(t.Context(), p.Engines, "kafka", func(context.Context) (int, error) {
			if back.Load() {
				return 0, nil
			}
			if p.Engines.Waiting() != nil {
				select {
				case waiting <- struct{}{}:
				default:
				}
			}
			return 0, fmt.Errorf("no Kafka broker responds at 127.0.0.1:1: %w", catalog.ErrUnavailable)
		})
		opened <- err
	}()
	<-waiting

	t.Run("a service that waits for an engine is alive and not ready, and names the engine", func(t *testing.T) {
		if status, _ := get("/livez", ""); status != http.StatusOK {
			t.Errorf("/livez = %d; want 200", status)
		}
		if status, check := get("/readyz", enginesCheck); status != http.StatusServiceUnavailable || !strings.Contains(check, "no Kafka broker responds") {
			t.Errorf("/readyz = %d, %q; want 503 and the reason", status, check)
		}
		if v := metricstest.Value(t, p.Telemetry.Registry, "catalog_ready", "check", enginesCheck); v != 0 {
			t.Errorf("catalog_ready = %v; want 0", v)
		}
	})
	t.Run("a body that does not arrive holds no connection of the admin port", func(t *testing.T) {
		c, err := net.Dial("tcp", p.admin.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// generous: the test fails when nothing comes, and not when the machine is busy
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprint(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx"); err != nil {
			t.Fatal(err)
		}
		if response, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(response), "HTTP/1.1 200 OK") {
			t.Errorf("response %q, %v; want 200 and the end of the connection", response, err)
		}
	})
	back.Store(true)
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	t.Run("it is ready when the engine is back, without a restart", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ready := make(chan struct{})
		p.Ready = func(context.Context, string, time.Duration) { close(ready) }
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		<-ready
		if status, _ := get("/readyz", ""); status != http.StatusOK {
			t.Errorf("/readyz = %d; want 200", status)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
		if n := strings.Count(log.String(), "waiting for an engine"); n != 1 {
			t.Errorf("%d lines about the wait; want 1", n)
		}
	})
}
