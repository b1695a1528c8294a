package daemon

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// AllowedHosts returns a function that reports whether a request may name the host. A
// server that listens on a loopback address is for this machine only: it allows
// addresses, localhost and the listed names, since a page on the Internet can bind its
// own name to a loopback address. With a list, any other server allows addresses and the
// listed names, and without one it allows every host.
func AllowedHosts(listen net.Addr, names string) func(host string) bool {
	list := strings.FieldsFunc(strings.ToLower(names), func(r rune) bool { return r == ',' || r == ' ' })
	tcp, ok := listen.(*net.TCPAddr)
	if loopback := ok && tcp.IP.IsLoopback(); !loopback && len(list) == 0 {
		return func(string) bool { return true }
	}
	return func(host string) bool {
		if h, port, err := net.SplitHostPort(host); err == nil {
			if _, err := strconv.ParseUint(port, 10, 16); err != nil && port != "" {
				return false
			}
			host = h
		} else if inner, ok := strings.CutPrefix(host, "["); ok {
			if host, ok = strings.CutSuffix(inner, "]"); !ok {
				return false
			}
		}
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		if host == "" || host == "localhost" || slices.Contains(list, host) {
			return true
		}
		_, err := netip.ParseAddr(host)
		return err == nil
	}
}

// OnlyHosts returns a handler that refuses requests to h that name a host which is not
// allowed.
func OnlyHosts(h http.Handler, allowed func(host string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowed(r.Host) {
			http.Error(w, "this process does not serve the host of the request", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}
