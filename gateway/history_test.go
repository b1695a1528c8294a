package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
)

func TestHistory_oldProduct(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	id := catalog.DerivedID("old").String()
	path := url + "/api/v1/products/" + id
	const many = 9
	for i := range many {
		call(t, "PUT", path, fmt.Sprintf(`{"name":"V%d","price":{"amount":"1","currency":"EUR"}}`, i+1))
	}
	call(t, "DELETE", path, "")
	s.mu.Lock()
	var times []time.Time
	for i := range s.events { // one event a minute
		at := time.Date(2026, 3, 1, 12, i, 0, 0, time.UTC)
		s.events[i].Product.UpdatedAt = at
		times = append(times, at)
	}
	s.mu.Unlock()

	for v := 1; v <= many; v++ {
		for _, query := range []string{
			fmt.Sprintf("?version=%d", v), "?at=" + times[v-1].Format(time.RFC3339), "?at=" + times[v-1].Add(59*time.Second).Format(time.RFC3339),
			"?at=" + times[v-1].In(time.FixedZone("", -7*3600)).Format(time.RFC3339),
		} {
			w, body := call(t, "GET", path+query, "")
			if w.StatusCode != http.StatusOK || w.Header.Get("ETag") != fmt.Sprintf(`"%d"`, v) || !strings.Contains(body, fmt.Sprintf(`"name":"V%d"`, v)) {
				t.Errorf("%s: %d %s", query, w.StatusCode, body)
			}
			if w, _ := call(t, "GET", path+query, "", "If-None-Match", w.Header.Get("ETag")); w.StatusCode != http.StatusNotModified {
				t.Errorf("%s again: %d", query, w.StatusCode)
			}
		}
	}
	missing := url + "/api/v1/products/" + catalog.DerivedID("missing").String()
	for _, test := range []struct {
		url    string
		status int
		has    string
	}{
		{path + "?version=10", 404, "deleted"},
		{path + "?version=11", 404, "no such version"},
		{path + "?version=9007199254740991", 404, "no such version"},
		{path + "?at=2026-03-01T11:59:59Z", 404, "did not exist then"},
		{path + "?at=2030-01-01T00:00:00Z", 404, "deleted"},
		{missing + "?version=1", 404, ""},
		{missing + "?at=2030-01-01T00:00:00Z", 404, ""},
		{path + "?version=0", 400, `"version"`},
		{path + "?version=9223372036854775807", 400, `"version"`},
		{path + "?version=one", 400, `"version"`},
		{path + "?at=", 400, `"at"`},
		{path + "?at=yesterday", 400, `"at"`},
		{path + "?at=2026-03-01T12:00:00+01:00", 400, `"at"`}, // the plus sign decodes to a space
		{path + "?version=1&at=2026-03-01T12:00:00Z", 400, `"at"`},
	} {
		if w, body := call(t, "GET", test.url, ""); w.StatusCode != test.status || !strings.Contains(body, test.has) {
			t.Errorf("%s: %d %s", test.url, w.StatusCode, body)
		}
	}
}

// TestHistory_archived reads the history of a product whose first versions are no
// longer in the journal.
func TestHistory_archived(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	path := url + "/api/v1/products/" + catalog.DerivedID("old").String()
	for i := range 9 {
		call(t, "PUT", path, fmt.Sprintf(`{"name":"V%d","price":{"amount":"1","currency":"EUR"}}`, i+1))
	}
	s.mu.Lock()
	for i := range s.events { // one event a minute
		s.events[i].Product.UpdatedAt = time.Date(2026, 3, 1, 12, i, 0, 0, time.UTC)
	}
	s.events = s.events[5:]
	s.mu.Unlock()
	for _, test := range []struct {
		path   string
		status int
		has    string
	}{
		{path + "?version=6", 200, `"name":"V6"`},
		{path + "?version=5", 410, `"code":"archived"`},
		{path + "?version=1", 410, `"code":"archived"`},
		{path + "?version=10", 404, "no such version"},
		{path + "?at=2026-03-01T12:05:30Z", 200, `"name":"V6"`},
		{path + "?at=2026-03-01T12:08:30Z", 200, `"name":"V9"`},
		{path + "?at=2026-03-01T12:04:30Z", 410, `"code":"archived"`},
		{path + "/history?limit=2", 200, `"nextBefore":8}`},
		{path + "/history?limit=2&before=8", 200, `"changes":[]}],"archivedBelow":6}`},
		{path + "/history?before=6", 200, `{"items":[]}`},
	} {
		if w, body := call(t, "GET", test.path, ""); w.StatusCode != test.status || !strings.Contains(body, test.has) {
			t.Errorf("%s: %d %s; want %d with %s", test.path, w.StatusCode, body, test.status, test.has)
		}
	}
	if w, body := call(t, "POST", path+"/restore", `{"version":5}`); w.StatusCode != http.StatusGone {
		t.Errorf("restore: %d %s; want 410", w.StatusCode, body)
	}

	s.mu.Lock() // the event of the current version is archived, too
	s.events[3] = eventlog.CurrentVersion(s.events[3].Product)
	s.events = s.events[3:]
	s.mu.Unlock()
	if w, body := call(t, "GET", path+"/history", ""); w.StatusCode != http.StatusOK || !strings.Contains(body, `"commandId":"00000000-0000-0000-0000-000000000000"`) || !strings.Contains(body, `"archivedBelow":9`) {
		t.Errorf("history: %d %s; want the current version without a command", w.StatusCode, body)
	}
}
