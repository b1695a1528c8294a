package e2e

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"catalog/engine/enginetest/freeport"
)

// checkProcess checks what all services have in common: the admin port and
// structured logs.
func checkProcess(t *testing.T, admin string, logs string) {
	t.Helper()
	s := &server{t: t, api: admin}
	s.must(http.StatusOK, "GET", "/livez", "")
	ready := s.must(http.StatusOK, "GET", "/readyz", "").json(t)
	checks, _ := ready["checks"].(map[string]any)
	if ready["ready"] != true || len(checks) == 0 {
		t.Errorf("readyz = %v", ready)
	}
	for name, state := range checks {
		if state != "ok" {
			t.Errorf("check %s = %v; want ok", name, state)
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
			t.Errorf("log line is not JSON: %s", line)
			continue
		}
		if l.Time.IsZero() || l.Msg == "" || l.Service == "" || l.Level != "INFO" && l.Level != "WARN" {
			t.Errorf("log line without time, message or service, or of level ERROR: %s", line)
		}
	}
}

// TestMissingEngine starts `catalog up`, which does not wait for engines as services do.
func TestMissingEngine(t *testing.T) {
	t.Parallel()
	closed := freeport.Address() // nothing listens there
	for _, test := range []struct {
		flag, address string
	}{
		{"-kafka.brokers", closed},
		{"-postgres.url", "postgres://user@" + closed + "/none"},
		{"-postgres.url", "nonsense"},
		{"-mongo.url", "mongodb://" + closed + "/"},
		{"-redis.url", "nonsense"},
	} {
		t.Run(test.flag+" "+test.address, func(t *testing.T) {
			t.Parallel()
			c := exec.CommandContext(t.Context(), program, "up", "-data", dataDir(t), "-http", "127.0.0.1:0", "-grpc", "127.0.0.1:0", "-admin", "127.0.0.1:0", test.flag, test.address)
			var out strings.Builder
			c.Stderr = &out
			since := time.Now()
			_ = c.Run()
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			last := lines[len(lines)-1]
			if code := c.ProcessState.ExitCode(); code == 0 || !strings.Contains(last, test.flag) || strings.Contains(out.String(), "goroutine") {
				t.Errorf("exit code %d after %v, stderr:\n%s", code, time.Since(since), out.String())
			}
			if took := time.Since(since); took > time.Minute {
				t.Errorf("the process exited only after %v", took)
			}
		})
	}
}
