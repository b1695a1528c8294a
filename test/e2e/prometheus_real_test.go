//go:build real

package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"catalog/engine/enginetest/freeport"
)

// timeScale divides all times of the alerts in this test: a window of an hour
// becomes a minute.
const timeScale = 60

const (
	ruleFolder      = "../../deploy/prometheus/rules"
	dashboardFolder = "../../deploy/grafana/dashboards"
)

var (
	ruleDuration = regexp.MustCompile(`(\[|for: |interval: )(\d+)([smhd])`)
	ruleAge      = regexp.MustCompile(`process_start_time_seconds(\{[^}]*\})? < \d+`)
)

// youngProcess is the age of a process, in seconds, up to which the rules count everything that
// it has counted as new. It is long enough for a process on a busy machine to start.
const youngProcess = "120"

// scaleRules divides the ranges, delays and intervals of rules by timeScale. A
// range stays long enough for several samples, even if the machine is busy and
// scrapes time out.
func scaleRules(content string) string {
	content = ruleAge.ReplaceAllString(content, "process_start_time_seconds$1 < "+youngProcess)
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	return ruleDuration.ReplaceAllStringFunc(content, func(s string) string {
		m := ruleDuration.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2])
		least := time.Second
		if m[1] == "[" {
			least = 30 * time.Second
		}
		d := max(time.Duration(n)*units[m[3]]/timeScale, least)
		return m[1] + strconv.Itoa(int(d.Seconds())) + "s"
	})
}

// monitor is a running Prometheus with the rules of the repository.
type monitor struct {
	t       testing.TB
	url     string
	folder  string
	targets map[string]string // admin addresses by instance
}

// startMonitor starts Prometheus, which scrapes every two seconds. It scrapes the exporter of
// Redis and sends alerts to the Alertmanager at these addresses, if they are not empty.
func startMonitor(t *testing.T, exporter, alertmanager string) *monitor {
	t.Helper()
	m := &monitor{t: t, folder: t.TempDir(), targets: map[string]string{}}
	files, err := filepath.Glob(ruleFolder + "/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m.write(filepath.Base(name), scaleRules(string(content)))
	}
	address := freeport.Address()
	alerting := ""
	if alertmanager != "" {
		alerting = fmt.Sprintf("alerting:\n  alertmanagers:\n    - static_configs: [{targets: ['%s']}]\n", alertmanager)
	}
	m.write("prometheus.yaml", fmt.Sprintf(`
global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}
rule_files: ['*.yml']
%sscrape_configs:
  - job_name: catalog
    file_sd_configs: [{files: ['targets.json'], refresh_interval: 1s}]
  - job_name: engines
    static_configs: [{targets: ['%s'], labels: {service: redis}}]
  - job_name: observability
    static_configs: [{targets: ['%s'], labels: {service: prometheus}}]
`, alerting, cmp.Or(exporter, freeport.Address()), address))
	m.writeTargets()
	logs, err := os.Create(filepath.Join(m.folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("prometheus", "--config.file="+filepath.Join(m.folder, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(m.folder, "data"),
		"--web.listen-address="+address, "--enable-feature=exemplar-storage", "--rules.alert.resend-delay=2s", "--log.level=warn")
	c.Stderr = logs
	if err := c.Start(); err != nil {
		t.Fatalf("%v; make engines-up installs Prometheus", err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait(); logs.Close() })
	m.url = "http://" + address
	eventually(t, "Prometheus is ready", func() bool {
		r, err := http.Get(m.url + "/-/ready")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return m
}

func (m *monitor) write(name, content string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.folder, name), []byte(content), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// target sets the admin URL of an instance, such as writer-1. Its label instance stays the
// same over restarts, as behind a fixed address.
func (m *monitor) target(instance, admin string) {
	m.targets[instance] = strings.TrimPrefix(admin, "http://")
	m.writeTargets()
}

// remove removes an instance.
func (m *monitor) remove(instance string) {
	delete(m.targets, instance)
	m.writeTargets()
}

func (m *monitor) writeTargets() {
	m.t.Helper()
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := []group{}
	for instance, address := range m.targets {
		service, _, _ := strings.Cut(instance, "-")
		groups = append(groups, group{[]string{address}, map[string]string{"service": service, "instance": instance}})
	}
	content, err := json.Marshal(groups)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("targets.new", string(content))
	if err := os.Rename(filepath.Join(m.folder, "targets.new"), filepath.Join(m.folder, "targets.json")); err != nil {
		m.t.Fatal(err)
	}
}

// get decodes the field data of a response of Prometheus.
func (m *monitor) get(path string, query url.Values, data any) error {
	r, err := http.Get(m.url + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	response := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.Unmarshal(body, &response); err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	if response.Status != "success" {
		return fmt.Errorf("%s", response.Error)
	}
	return nil
}

// hasData reports whether the expression has a value that is a number.
func (m *monitor) hasData(expr string) (bool, error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	if err := m.get("/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		return false, err
	}
	for _, r := range data.Result {
		text, _ := r.Value[1].(string)
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) {
			return true, nil
		}
	}
	return false, nil
}

// firing returns those of the alerts that fire. An alert is a name, or a name and a label, as in
// "CatalogDiskFull path=index".
func (m *monitor) firing(alerts ...string) (firing []string) {
	m.t.Helper()
	var data struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	if err := m.get("/api/v1/alerts", nil, &data); err != nil {
		m.t.Fatal(err)
	}
	for _, alert := range alerts {
		name, label, _ := strings.Cut(alert, " ")
		label, value, _ := strings.Cut(label, "=")
		for _, a := range data.Alerts {
			if a.State == "firing" && a.Labels["alertname"] == name && a.Labels[label] == value {
				firing = append(firing, alert)
				break
			}
		}
	}
	return firing
}

// await waits until all of these alerts have fired, each at some time.
func (m *monitor) await(alerts ...string) {
	m.t.Helper()
	missing := slices.Clone(alerts)
	since := time.Now()
	for len(missing) > 0 {
		if time.Since(since) > 3*time.Minute {
			m.t.Errorf("after 3 minutes these alerts have not fired: %v", missing)
			return
		}
		for _, alert := range m.firing(missing...) {
			missing = slices.DeleteFunc(missing, func(a string) bool { return a == alert })
			m.t.Logf("%s fires after %v", alert, time.Since(since).Round(time.Second))
		}
		<-time.After(200 * time.Millisecond)
	}
}

// awaitEnd waits until none of these alerts fires.
func (m *monitor) awaitEnd(alerts ...string) {
	m.t.Helper()
	since := time.Now()
	for {
		firing := m.firing(alerts...)
		if len(firing) == 0 {
			m.t.Logf("no alert fires after %v", time.Since(since).Round(time.Second))
			return
		}
		if time.Since(since) > 3*time.Minute {
			m.t.Errorf("after 3 minutes these alerts still fire: %v", firing)
			return
		}
		<-time.After(200 * time.Millisecond)
	}
}

// value returns the value of an expression that has one, and else 0.
func (m *monitor) value(expr string) float64 {
	m.t.Helper()
	var data struct {
		Result []struct{ Value [2]any }
	}
	if err := m.get("/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		m.t.Fatal(err)
	}
	if len(data.Result) != 1 {
		return 0
	}
	text, _ := data.Result[0].Value[1].(string)
	v, _ := strconv.ParseFloat(text, 64)
	return v
}
