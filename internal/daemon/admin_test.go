package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catalog/internal/daemon"
)

func TestAdmin(t *testing.T) {
	up := true
	h := daemon.Admin(http.NotFoundHandler(), daemon.Check{Name: "kafka", Ping: func(context.Context) error {
		if up {
			return nil
		}
		return errors.New("no Kafka broker responds at 127.0.0.1:9092")
	}})
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	t.Run("readyz returns 200 while the checks pass", func(t *testing.T) {
		if w := get("/readyz"); w.Code != http.StatusOK {
			t.Fatalf("GET /readyz = %d %s; want 200", w.Code, w.Body)
		}
	})
	t.Run("readyz returns 503 and names the failed check, and livez still returns 200", func(t *testing.T) {
		up = false
		w := get("/readyz")
		var body struct {
			Ready  bool
			Checks map[string]string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusServiceUnavailable || body.Ready || !strings.Contains(body.Checks["kafka"], "127.0.0.1:9092") {
			t.Fatalf("GET /readyz = %d %s; want 503 and the error of kafka", w.Code, w.Body)
		}
		if w := get("/livez"); w.Code != http.StatusOK {
			t.Fatalf("GET /livez = %d; want 200", w.Code)
		}
	})
	t.Run("readyz leaves out the checks that exclude names", func(t *testing.T) {
		if w := get("/readyz?exclude=postgres&exclude=kafka"); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "kafka") {
			t.Fatalf("GET /readyz?exclude=kafka = %d %s; want 200 without kafka", w.Code, w.Body)
		}
		if w := get("/readyz?exclude=postgres"); w.Code != http.StatusServiceUnavailable {
			t.Fatalf("GET /readyz?exclude=postgres = %d %s; want 503, since kafka fails", w.Code, w.Body)
		}
	})
	t.Run("a check that hangs fails after one second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := daemon.Admin(http.NotFoundHandler(), daemon.Check{Name: "slow", Ping: func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}})
			since := time.Now()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
			if w.Code != http.StatusServiceUnavailable || time.Since(since) != time.Second {
				t.Fatalf("GET /readyz = %d after %v; want 503 after 1s", w.Code, time.Since(since))
			}
		})
	})
}

func TestDrain(t *testing.T) {
	t.Run("the check fails at once and the parts run on for the delay", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			check, drain := daemon.Drain(ctx, time.Second)
			if err := check.Ping(t.Context()); err != nil {
				t.Fatalf("Ping before the shutdown = %v; want nil", err)
			}
			var stopped time.Duration
			since := time.Now()
			work := daemon.Part{Name: "work", Run: func(ctx context.Context) error {
				<-ctx.Done()
				stopped = time.Since(since)
				return nil
			}}
			cancel()
			if check.Ping(t.Context()) == nil {
				t.Error("Ping during the shutdown = nil; want an error")
			}
			if err := daemon.Run(ctx, discardLog, time.Minute, work, drain); err != nil || stopped != time.Second {
				t.Errorf("Run = %v, and work stopped after %v; want nil, 1s", err, stopped)
			}
		})
	})
}

func TestServe(t *testing.T) {
	t.Run("running requests end before the part returns", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		entered, finish := make(chan struct{}), make(chan struct{})
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-finish
			io.WriteString(w, "done")
		})}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- daemon.Serve("http", l, s).Run(ctx) }()
		body := make(chan string, 1)
		go func() {
			r, err := http.Get("http://" + l.Addr().String())
			if err != nil {
				body <- err.Error()
				return
			}
			defer r.Body.Close()
			b, _ := io.ReadAll(r.Body)
			body <- string(b)
		}()
		<-entered
		stop()
		close(finish)
		if got := <-body; got != "done" {
			t.Fatalf("the running request returned %q; want done", got)
		}
		if err := <-served; err != nil {
			t.Fatalf("Run = %v; want nil", err)
		}
	})
}

func TestListen(t *testing.T) {
	t.Run("the error names the address and what to do, on one line", func(t *testing.T) {
		l, err := daemon.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, err = daemon.Listen(l.Addr().String())
		if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "choose another address") || strings.Contains(err.Error(), "\n") {
			t.Fatalf("Listen on a used address = %v; want one line with the address and what to do", err)
		}
	})
}

func TestAdmin_commandLine(t *testing.T) { // not parallel: it changes os.Args
	t.Run("the page with the command line masks secrets", func(t *testing.T) {
		args := os.Args
		t.Cleanup(func() { os.Args = args })
		os.Args = []string{"reader", "-redis.url", "redis://user:pl4nted-s3cret@host:6379"}
		w := httptest.NewRecorder()
		daemon.Admin(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/cmdline", nil))
		if body := w.Body.String(); w.Code != http.StatusOK || body != "reader\x00-redis.url\x00redis://user:xxxxx@host:6379" {
			t.Errorf("GET /debug/pprof/cmdline = %d %q", w.Code, body)
		}
	})
}
