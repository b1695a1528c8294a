package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// healthCheckTimeout is longer than probeTimeout, so that the body of a slow /readyz,
// which names the failed checks, still arrives.
const healthCheckTimeout = 2 * time.Second

// readiness is the body of /readyz.
type readiness struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"` // "ok" or the text of the error, by name
}

// HealthCheck asks the admin port at address whether its process is ready. An address of all
// interfaces, such as :9101, is called on loopback. The error is one line that names the checks
// that failed.
func HealthCheck(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, healthCheckTimeout)
	defer cancel()
	url := "http://" + loopback(address) + "/readyz"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("invalid address of the admin port: %w", err)
	}
	// No proxy: the request must not leave the machine.
	response, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
	if err != nil {
		return fmt.Errorf("no process responds: %w", err)
	}
	defer response.Body.Close()
	var body readiness
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		return fmt.Errorf("%s is not the readiness of this program (status %d): %w", url, response.StatusCode, err)
	}
	if body.Ready && response.StatusCode == http.StatusOK {
		return nil
	}
	var failed []string
	for _, name := range slices.Sorted(maps.Keys(body.Checks)) {
		if text := body.Checks[name]; text != "ok" {
			failed = append(failed, name+": "+text)
		}
	}
	return errors.New("not ready: " + strings.ReplaceAll(strings.Join(failed, "; "), "\n", " "))
}

// loopback returns address with 127.0.0.1 in place of a missing host or of all
// interfaces.
func loopback(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
