package daemon_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"catalog/internal/daemon"
)

func TestHealthCheck(t *testing.T) {
	var broken error
	s := httptest.NewServer(daemon.Admin(http.NotFoundHandler(),
		daemon.Check{Name: "kafka", Ping: func(context.Context) error { return broken }},
		daemon.Check{Name: "events", Ping: func(context.Context) error { return nil }}))
	defer s.Close()
	address := s.Listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("a process whose checks pass is ready, also when it listens on all interfaces", func(t *testing.T) {
		for _, a := range []string{address, ":" + port, "0.0.0.0:" + port, "[::]:" + port} {
			if err := daemon.HealthCheck(t.Context(), a); err != nil {
				t.Errorf("HealthCheck(%s) = %v; want nil", a, err)
			}
		}
	})
	t.Run("the error names the failed check alone, on one line", func(t *testing.T) {
		broken = errors.New("no broker responds\nat 127.0.0.1:9092")
		err := daemon.HealthCheck(t.Context(), address)
		if want := "not ready: kafka: no broker responds at 127.0.0.1:9092"; err == nil || err.Error() != want {
			t.Errorf("HealthCheck = %v; want %s", err, want)
		}
	})
	t.Run("another server at the address is an error", func(t *testing.T) {
		other := httptest.NewServer(http.NotFoundHandler())
		defer other.Close()
		if err := daemon.HealthCheck(t.Context(), other.Listener.Addr().String()); err == nil || !strings.Contains(err.Error(), "status 404") {
			t.Errorf("HealthCheck of another server = %v; want an error with status 404", err)
		}
	})
	t.Run("an address without a process is an error", func(t *testing.T) {
		s.Close()
		if err := daemon.HealthCheck(t.Context(), address); err == nil || !strings.Contains(err.Error(), "no process responds") {
			t.Errorf("HealthCheck = %v; want an error that says that no process responds", err)
		}
	})
}
