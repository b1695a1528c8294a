package gateway_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"catalog"
	"catalog/api"
)

func TestImport(t *testing.T) {
	results := func(t *testing.T, url string, lines ...string) []api.ImportResult {
		t.Helper()
		w, body := call(t, "POST", url+"/api/v1/imports", strings.Join(lines, "\n"), "Content-Type", "application/x-ndjson")
		if w.StatusCode != http.StatusOK {
			t.Fatalf("response %d %s", w.StatusCode, body)
		}
		var all []api.ImportResult
		for s := bufio.NewScanner(strings.NewReader(body)); s.Scan(); {
			var r api.ImportResult
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				t.Fatalf("%v: %s", err, s.Text())
			}
			all = append(all, r)
		}
		return all
	}
	outcomes := func(all []api.ImportResult) string {
		var words []string
		for _, r := range all {
			words = append(words, fmt.Sprintf("%d %s", r.Line, r.Outcome))
		}
		return strings.Join(words, ", ")
	}
	t.Run("each line has a result, in order", func(t *testing.T) {
		got := outcomes(results(t, serve(t, &system{}), lamp, "", `{"sku":"X"}`, `{"name":"no sku"}`, lamp, `{"sku":"LAMP","name":"Table lamp"}`, "nonsense", `{"sku":"`+strings.Repeat("x", 2<<20)+`"}`))
		if want := "1 created, 3 refused, 4 refused, 5 unchanged, 6 changed, 7 refused, 8 refused"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("an SKU that another client takes in the meantime is looked up again", func(t *testing.T) {
		s := &system{}
		url := serve(t, s)
		s.onFind = func() { call(t, "POST", url+"/api/v1/products", lamp) }
		if got := outcomes(results(t, url, `{"sku":"LAMP","name":"Table lamp","price":{"amount":"20","currency":"EUR"}}`)); got != "1 changed" {
			t.Errorf("got %s, want 1 changed", got)
		}
	})
	t.Run("an import of several windows", func(t *testing.T) {
		var lines []string
		for i := range 1_203 {
			lines = append(lines, fmt.Sprintf(`{"sku":"S%d","name":"x","price":{"amount":"1","currency":"EUR"}}`, i))
		}
		all := results(t, serve(t, &system{}), lines...)
		if len(all) != 1_203 || all[1_202].Line != 1_203 || all[1_202].Outcome != "created" {
			t.Errorf("%d results, the last %+v", len(all), all[len(all)-1])
		}
	})
	t.Run("a log that does not respond is reported before the response begins", func(t *testing.T) {
		if w, body := call(t, "POST", serve(t, &system{sendErr: catalog.ErrUnavailable})+"/api/v1/imports", lamp, "Content-Type", "application/x-ndjson"); w.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("response %d %s, want 503", w.StatusCode, body)
		}
	})
}
