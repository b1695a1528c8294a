package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRender draws every dashboard from a Prometheus that returns one series for
// each query.
func TestRender(t *testing.T) {
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.FormValue("query"); strings.Contains(q, "$__") || strings.Contains(q, "$service") {
			t.Errorf("query %s has a variable", q)
		}
		switch r.URL.Path {
		case "/api/v1/query":
			fmt.Fprintf(w, `{"status":"success","data":{"result":[{"metric":{"service":"writer"},"value":[%d,"0.25"]}]}}`, at.Unix())
		case "/api/v1/query_range":
			fmt.Fprintf(w, `{"status":"success","data":{"result":[{"metric":{"service":"writer"},"values":[[%d,"0.1"],[%d,"NaN"],[%d,"0.25"]]}]}}`, at.Unix()-60, at.Unix()-50, at.Unix())
		default:
			fmt.Fprintf(w, `{"status":"success","data":[{"exemplars":[{"value":"0.2","timestamp":%d}]}]}`, at.Unix()-30)
		}
	}))
	defer prometheus.Close()
	files, err := filepath.Glob("../../deploy/grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, name := range files {
		picture, err := render(name, prometheus.URL, at, 5*time.Minute)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s := string(picture); strings.Contains(s, "No data") || !strings.Contains(s, "<path") || !strings.HasSuffix(s, "</svg>\n") {
			t.Errorf("%s is not drawn:\n%.300s", name, s)
		}
	}
}

func TestText(t *testing.T) {
	now := time.UnixMilli(90_000)
	for _, test := range []struct {
		v    float64
		unit string
		want string
	}{
		{0, "s", "0 s"}, {0.0000423, "s", "42.3 µs"}, {0.0042, "s", "4.2 ms"}, {2.5, "s", "2.5 s"}, {600, "s", "10 min"},
		{0.9995, "percentunit", "99.95 %"}, {1, "percentunit", "100 %"},
		{1536, "bytes", "1.5 KiB"}, {12.345, "reqps", "12.3 req/s"}, {1234567, "short", "1.23 M"}, {30_000, "dateTimeFromNow", "1m0s ago"},
	} {
		if got := text(test.v, test.unit, now); got != test.want {
			t.Errorf("text(%v, %s) = %q; want %q", test.v, test.unit, got, test.want)
		}
	}
}
