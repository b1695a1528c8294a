package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"catalog/internal/daemon"
)

var quiet = slog.New(slog.DiscardHandler)

func TestRun(t *testing.T) {
	t.Run("parts stop one after the other, the last first", func(t *testing.T) {
		var mu sync.Mutex
		var stopped []string
		part := func(name string) daemon.Part {
			return daemon.Part{Name: name, Run: func(ctx context.Context) error {
				<-ctx.Done()
				mu.Lock()
				defer mu.Unlock()
				stopped = append(stopped, name)
				return ctx.Err()
			}}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := daemon.Run(ctx, quiet, time.Minute, part("engine"), part("work"), part("door")); err != nil {
			t.Fatal(err)
		}
		if want := []string{"door", "work", "engine"}; !slices.Equal(stopped, want) {
			t.Fatalf("stopped in the order %v, want %v", stopped, want)
		}
	})
	t.Run("it is not ready any more while all goes on for a moment", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			stay, drain := daemon.Drain(ctx, time.Second)
			if err := stay.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			var stopped time.Duration
			since := time.Now()
			work := daemon.Part{Name: "work", Run: func(ctx context.Context) error {
				<-ctx.Done()
				stopped = time.Since(since)
				return nil
			}}
			cancel()
			if stay.Ping(t.Context()) == nil {
				t.Error("it says that it is there to stay")
			}
			if err := daemon.Run(ctx, quiet, time.Minute, work, drain); err != nil || stopped != time.Second {
				t.Errorf("work stopped after %v, %v", stopped, err)
			}
		})
	})
	t.Run("a part that fails stops the others and is named", func(t *testing.T) {
		broken := errors.New("broken")
		err := daemon.Run(t.Context(), quiet, time.Minute,
			daemon.Part{Name: "steady", Run: func(ctx context.Context) error { <-ctx.Done(); return nil }},
			daemon.Part{Name: "weak", Run: func(context.Context) error { return broken }})
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "weak") {
			t.Fatalf("Run = %v; want the error of the part weak", err)
		}
	})
	t.Run("a part that will not stop is given up after the grace", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			since := time.Now()
			err := daemon.Run(ctx, quiet, 5*time.Second,
				daemon.Part{Name: "stubborn", Run: func(context.Context) error { <-release; return nil }})
			if err == nil || time.Since(since) != 5*time.Second {
				t.Fatalf("Run = %v after %v; want an error after 5s", err, time.Since(since))
			}
			close(release)
			synctest.Wait()
		})
	})
}

func TestParse(t *testing.T) {
	parse := func(args ...string) (string, error) {
		fs := flag.NewFlagSet("test", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		brokers := fs.String("kafka.brokers", "default", "")
		fs.Duration("grace", time.Second, "")
		err := daemon.Parse(fs, args)
		return *brokers, err
	}
	t.Run("the environment fills what no flag says", func(t *testing.T) {
		t.Setenv("CATALOG_KAFKA_BROKERS", "from-environment")
		if got, err := parse(); got != "from-environment" || err != nil {
			t.Fatalf("parse = %q, %v", got, err)
		}
	})
	t.Run("a flag wins over the environment", func(t *testing.T) {
		t.Setenv("CATALOG_KAFKA_BROKERS", "from-environment")
		if got, err := parse("-kafka.brokers", "from-flag"); got != "from-flag" || err != nil {
			t.Fatalf("parse = %q, %v", got, err)
		}
	})
	t.Run("a wrong variable is named", func(t *testing.T) {
		t.Setenv("CATALOG_GRACE", "soon")
		if _, err := parse(); err == nil || !strings.Contains(err.Error(), "CATALOG_GRACE") {
			t.Fatalf("parse = %v; want an error that names CATALOG_GRACE", err)
		}
	})
	t.Run("an unknown flag is an error", func(t *testing.T) {
		if _, err := parse("-nonsense"); err == nil || !strings.Contains(err.Error(), "nonsense") {
			t.Fatalf("parse = %v; want an error that names the flag", err)
		}
	})
	t.Run("help names each flag's variable", func(t *testing.T) {
		fs := flag.NewFlagSet("test", flag.ContinueOnError)
		var out bytes.Buffer
		fs.SetOutput(&out)
		fs.Usage = func() { daemon.PrintFlags(fs) }
		fs.String("kafka.brokers", "default", "the `addresses`")
		if err := daemon.Parse(fs, []string{"-h"}); !errors.Is(err, flag.ErrHelp) {
			t.Fatalf("parse = %v, want ErrHelp", err)
		}
		if !strings.Contains(out.String(), "CATALOG_KAFKA_BROKERS") {
			t.Fatalf("no variable in the manual:\n%s", out.String())
		}
	})
}

func TestAdmin(t *testing.T) {
	up := true
	h := daemon.Admin(http.NotFoundHandler(), daemon.Check{Name: "kafka", Ping: func(context.Context) error {
		if up {
			return nil
		}
		return errors.New("nobody answers at 127.0.0.1:9092")
	}})
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	t.Run("ready while the engines are well", func(t *testing.T) {
		if w := get("/readyz"); w.Code != http.StatusOK {
			t.Fatalf("GET /readyz = %d %s", w.Code, w.Body)
		}
	})
	t.Run("not ready names the engine, and the process lives on", func(t *testing.T) {
		up = false
		w := get("/readyz")
		var answer struct {
			Ready  bool
			Checks map[string]string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusServiceUnavailable || answer.Ready || !strings.Contains(answer.Checks["kafka"], "127.0.0.1:9092") {
			t.Fatalf("GET /readyz = %d %s", w.Code, w.Body)
		}
		if w := get("/livez"); w.Code != http.StatusOK {
			t.Fatalf("GET /livez = %d", w.Code)
		}
	})
}

func TestServeLetsRequestsInHandEnd(t *testing.T) {
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
		t.Fatalf("the request in hand answered %q", got)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}
