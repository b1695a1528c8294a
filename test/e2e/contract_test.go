package e2e

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catalog/engine/enginetest/freeport"
)

// contract asks a running process for what all of them have alike: its admin
// port, and logs that machines can read.
func checkProcess(t *testing.T, admin string, logs string) {
	t.Helper()
	s := &server{t: t, api: admin}
	s.must(http.StatusOK, "GET", "/livez", "")
	ready := s.must(http.StatusOK, "GET", "/readyz", "").json(t)
	checks, _ := ready["checks"].(map[string]any)
	if ready["ready"] != true || len(checks) == 0 {
		t.Errorf("ready: %v", ready)
	}
	for name, state := range checks {
		if state != "ok" {
			t.Errorf("%s is %v", name, state)
		}
	}
	metrics := s.must(http.StatusOK, "GET", "/metrics", "").body
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "catalog_"} {
		if !strings.Contains(metrics, "\n"+name) {
			t.Errorf("no metric %s", name)
		}
	}
	s.must(http.StatusOK, "GET", "/debug/pprof/", "")
	s.must(http.StatusNotFound, "GET", "/", "")
	for line := range strings.Lines(logs) {
		var l struct {
			Time                time.Time
			Level, Msg, Service string
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Errorf("a log line that is not JSON: %s", line)
			continue
		}
		if l.Time.IsZero() || l.Msg == "" || l.Service == "" || l.Level != "INFO" && l.Level != "WARN" {
			t.Errorf("a log line without time, message or service, or of a level that asks for help: %s", line)
		}
	}
}

func TestMissingEngine(t *testing.T) {
	t.Parallel()
	nobody := freeport.Address()
	for _, test := range []struct {
		program, flag, address string
	}{
		{"gateway", "-kafka.brokers", nobody},
		{"writer", "-kafka.brokers", nobody},
		{"reader", "-kafka.brokers", nobody},
		{"catalog", "-kafka.brokers", nobody},
		{"catalog", "-postgres.url", "postgres://nobody@" + nobody + "/none"},
		{"catalog", "-postgres.url", "nonsense"},
		{"catalog", "-mongo.url", "mongodb://" + nobody + "/"},
		{"catalog", "-redis.url", "nonsense"},
	} {
		t.Run(test.program+" with "+test.flag+" "+test.address, func(t *testing.T) {
			t.Parallel()
			args := []string{test.flag, test.address, "-admin", "127.0.0.1:0"}
			if test.program == "catalog" {
				args = append([]string{"up", "-data", dataDir(t), "-http", "127.0.0.1:0", "-grpc", "127.0.0.1:0"}, args...)
			}
			c := exec.CommandContext(t.Context(), filepath.Join(programs, test.program), args...)
			var out strings.Builder
			c.Stderr = &out
			since := time.Now()
			_ = c.Run()
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			last := lines[len(lines)-1]
			if code := c.ProcessState.ExitCode(); code == 0 || !strings.Contains(last, test.flag) || strings.Contains(out.String(), "goroutine") {
				t.Errorf("exit code %d after %v, and it says:\n%s", code, time.Since(since), out.String())
			}
			if took := time.Since(since); took > 20*time.Second {
				t.Errorf("it takes %v to say so", took)
			}
		})
	}
}
