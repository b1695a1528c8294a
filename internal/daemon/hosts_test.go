package daemon_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"catalog/internal/daemon"
)

func TestAllowedHosts(t *testing.T) {
	loopback, public := &net.TCPAddr{IP: net.IPv6loopback, Port: 8080}, &net.TCPAddr{IP: net.IPv4zero, Port: 8080}
	for _, test := range []struct {
		listen *net.TCPAddr
		names  string
		host   string
		want   bool
	}{
		{loopback, "", "localhost:8080", true},
		{loopback, "", "LOCALHOST.", true},
		{loopback, "", "127.0.0.1:8080", true},
		{loopback, "", "[::1]:8080", true},
		{loopback, "", "::1", true},
		{loopback, "", "[::1]", true},
		{loopback, "", "localhost:", true},
		{loopback, "", "[::1", false},
		{loopback, "", "127.0.0.1:1,evil.example", false},
		{loopback, "", "127.0.0.1:99999", false},
		{loopback, "", "evil.example:8080", false},
		{loopback, "", "localhost.evil.example", false},
		{loopback, "", "127.0.0.1.evil.example", false},
		{loopback, "", "", true}, // requests of HTTP/1.0, which no browser sends
		{loopback, "shop.example, b.example", "Shop.Example:80", true},
		{loopback, "shop.example", "evil.example", false},
		{public, "", "evil.example", true},
		{public, "shop.example", "shop.example", true},
		{public, "shop.example", "10.1.2.3:8080", true}, // requests as health checks send them
		{public, "shop.example", "evil.example", false},
	} {
		if got := daemon.AllowedHosts(test.listen, test.names)(test.host); got != test.want {
			t.Errorf("listening on %v with the names %q, host %q is allowed: %v; want %v", test.listen, test.names, test.host, got, test.want)
		}
	}
}

func TestOnlyHosts(t *testing.T) {
	h := daemon.OnlyHosts(daemon.Admin(http.NotFoundHandler()), daemon.AllowedHosts(&net.TCPAddr{IP: net.IPv6loopback}, ""))
	for host, want := range map[string]int{"localhost:9100": http.StatusOK, "evil.example:9100": http.StatusForbidden} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/livez", nil)
		r.Host = host
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("GET /livez of %s = %d; want %d", host, w.Code, want)
		}
	}
}
