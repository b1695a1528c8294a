//go:build real

package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"catalog/engine/enginetest/freeport"
)

// TestAlertmanager sends alerts of a real Prometheus through a real Alertmanager
// with the routes of the repository: no service runs, so a page is due.
func TestAlertmanager(t *testing.T) {
	var mu sync.Mutex
	received := map[string]map[string]bool{} // names of alerts by path
	webhook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message struct {
			Alerts []struct{ Labels, Annotations map[string]string }
		}
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Errorf("webhook: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		if received[r.URL.Path] == nil {
			received[r.URL.Path] = map[string]bool{}
		}
		for _, a := range message.Alerts {
			received[r.URL.Path][a.Labels["alertname"]] = true
			if a.Annotations["summary"] == "" || !strings.HasPrefix(a.Annotations["runbook_url"], "docs/operations/alerts.md#") {
				t.Errorf("alert %v has the annotations %v", a.Labels, a.Annotations)
			}
		}
	}))
	defer webhook.Close()

	const placeholder = "http://localhost:5099"
	config, err := os.ReadFile("../../deploy/alertmanager/alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(config), placeholder); n != 3 {
		t.Fatalf("the configuration has %d addresses of receivers, want 3", n)
	}
	folder, address := t.TempDir(), freeport.Address()
	file := filepath.Join(folder, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(config), placeholder, webhook.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("alertmanager")
	if err != nil {
		program = "prometheus-alertmanager" // its name on Debian
	}
	c := exec.Command(program, "--config.file="+file, "--storage.path="+folder, "--web.listen-address="+address, "--cluster.listen-address=", "--log.level=warn")
	if err := c.Start(); err != nil {
		t.Fatalf("%v; make engines-up installs Alertmanager", err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	startMonitor(t, "", address)

	for path, alert := range map[string]string{"/page": "CatalogServiceAbsent", "/ticket": "CatalogEngineDown", "/watchdog": "Watchdog"} {
		eventually(t, alert+" is delivered to "+path, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return received[path][alert]
		})
	}
	mu.Lock()
	defer mu.Unlock()
	for path, alerts := range received {
		if path != "/page" && alerts["CatalogServiceAbsent"] || path != "/watchdog" && alerts["Watchdog"] {
			t.Errorf("%s got %v", path, alerts)
		}
	}
}
