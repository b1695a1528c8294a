package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"catalog"
	"catalog/api"
	"catalog/internal/wire"
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
	t.Run("a list, a byte-order mark and gzip are read, and each entry has a result", func(t *testing.T) {
		gzipped := func(s string) string {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write([]byte(s)) // writes to memory do not fail
			w.Close()
			return b.String()
		}
		list := "[\n  " + lamp + ",\n  {\"sku\": \"A,]\\\"\",\n \"name\":\"" + strings.Repeat("x", 20<<10) + "\"}, 5, {\"sku\":\"" + strings.Repeat("x", 2<<20) + "\"}, " + lamp + " ]\n"
		for _, tt := range []struct{ name, body, contentType, encoding, want string }{
			{"list", list, "application/json", "", "1 created, 2 refused, 3 refused, 4 refused, 5 unchanged"},
			{"list, gzip", gzipped(list), "application/x-ndjson", "gzip", "1 created, 2 refused, 3 refused, 4 refused, 5 unchanged"},
			{"mark", "\uFEFF" + lamp + "\n" + lamp, "application/x-ndjson", "identity", "1 created, 2 unchanged"},
			{"mark, list", "\uFEFF[" + lamp + "]", "application/json", "", "1 created"},
			{"empty list", "[]", "application/json", "", ""},
			{"cut off", "[" + lamp + ",", "application/json", "", "400 "},
			{"gzip, cut off", gzipped(list)[:40], "application/json", "gzip", "400 "},
			{"no gzip", lamp, "application/json", "gzip", "400 "},
			{"other encoding", lamp, "application/json", "br", "415 "},
		} {
			w, body := call(t, "POST", serve(t, &system{})+"/api/v1/imports", tt.body, "Content-Type", tt.contentType, "Content-Encoding", tt.encoding)
			var all []api.ImportResult
			for s := bufio.NewScanner(strings.NewReader(body)); s.Scan() && w.StatusCode == http.StatusOK; {
				var r api.ImportResult
				if err := json.Unmarshal(s.Bytes(), &r); err != nil {
					t.Fatalf("%s: %v: %s", tt.name, err, s.Text())
				}
				all = append(all, r)
			}
			got := outcomes(all)
			if w.StatusCode != http.StatusOK {
				got = fmt.Sprintf("%d ", w.StatusCode)
			}
			if got != tt.want && !(tt.name == "cut off" && strings.Contains(body, "is cut off: the list does not end")) {
				t.Errorf("%s: got %s %.200s; want %s", tt.name, got, body, tt.want)
			}
		}
	})
	t.Run("with a key, products that an earlier try created count as created", func(t *testing.T) {
		url := serve(t, &system{})
		const key = "01920000-0000-7000-8000-000000000001"
		send := func(key string, lines ...string) []api.ImportResult {
			w, body := call(t, "POST", url+"/api/v1/imports", strings.Join(lines, "\n"), "Content-Type", "application/x-ndjson", "Idempotency-Key", key)
			if w.StatusCode != http.StatusOK {
				t.Fatalf("response %d %s", w.StatusCode, body)
			}
			var all []api.ImportResult
			for d := json.NewDecoder(strings.NewReader(body)); d.More(); {
				var r api.ImportResult
				if err := d.Decode(&r); err != nil {
					t.Fatal(err)
				}
				all = append(all, r)
			}
			return all
		}
		call(t, "POST", url+"/api/v1/products", strings.ReplaceAll(lamp, "LAMP", "OLD"))
		old := strings.ReplaceAll(lamp, "LAMP", "OLD")
		first := send(key, lamp, old)
		if got := outcomes(first); got != "1 created, 2 unchanged" || !strings.HasPrefix(first[0].Id.String(), key[:13]) {
			t.Fatalf("the first try has %s and product %s; want one that begins with the time of the key", got, first[0].Id)
		}
		again := send(key, lamp, old)
		if got := outcomes(again); got != "1 created, 2 unchanged" || again[0].Id != first[0].Id || again[0].Version != 1 {
			t.Errorf("the second try has %s, product %s version %d; want the same", got, again[0].Id, again[0].Version)
		}
		if got := outcomes(send("another", lamp, old)); got != "1 unchanged, 2 unchanged" {
			t.Errorf("another key has %s; want unchanged rows", got)
		}
		if got := outcomes(send("another", strings.ReplaceAll(lamp, "LAMP", "NEW"), `{"sku":"NEW","name":"Cup"}`)); got != "1 created, 2 changed" {
			t.Errorf("a key that is no UUID has %s; want a new product", got)
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
	t.Run("rows have their results while the client sends no more", func(t *testing.T) {
		body, send := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, serve(t, &system{})+"/api/v1/imports", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-ndjson")
		go fmt.Fprintln(send, lamp)
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		lines := bufio.NewScanner(w.Body)
		if !lines.Scan() || !strings.Contains(lines.Text(), `"created"`) {
			t.Fatalf("the first line of the response is %q; want the result of the first row", lines.Text())
		}
		fmt.Fprintln(send, `{"sku":"LAMP","name":"Table lamp"}`)
		send.Close()
		if !lines.Scan() || !strings.Contains(lines.Text(), `"changed"`) {
			t.Fatalf("the second line of the response is %q; want the result of the second row", lines.Text())
		}
	})
	t.Run("imports that send nothing leave others their turn", func(t *testing.T) {
		url := serve(t, &system{})
		for range 64 {
			body, send := io.Pipe()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/v1/imports", body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-ndjson")
			go func() {
				if w, err := http.DefaultClient.Do(r); err == nil {
					w.Body.Close()
				}
			}()
			if _, err := fmt.Fprint(send, `{"sku":"A","name":"`+strings.Repeat("x", 20_000)); err != nil { // half a row
				t.Fatal(err)
			}
			defer send.Close()
		}
		if got := outcomes(results(t, url, lamp, `{"sku":"LAMP","name":"Table lamp"}`)); got != "1 created, 2 changed" {
			t.Errorf("got %s; want the results of both rows", got)
		}
	})
	t.Run("an import whose rows are all refused ends", func(t *testing.T) {
		w, body := call(t, "POST", serve(t, &system{})+"/api/v1/imports", strings.Repeat("{}\n", 100_000), "Content-Type", "application/x-ndjson")
		if w.StatusCode != http.StatusOK || len(body) > 5<<20 || !strings.Contains(body[len(body)-1000:], `{"problem":`) {
			t.Errorf("response %d with %d bytes, ending in %.300s; want a problem after 10,000 rows", w.StatusCode, len(body), body[max(0, len(body)-300):])
		}
	})
	t.Run("rows of the largest size are settled, a few at a time", func(t *testing.T) {
		var rows []string
		for i := range 20 {
			d := largeProduct(i).ProductData
			d.SKU = fmt.Sprint("L", i)
			rows = append(rows, string(wire.EncodeProductData(d)))
		}
		s := &system{}
		if got := results(t, serve(t, s), rows...); len(got) != 20 || got[19].Outcome != "created" {
			t.Errorf("%d results, the last %+v; want 20 created", len(got), got[len(got)-1])
		}
	})
	t.Run("a log that does not respond is reported before the response begins", func(t *testing.T) {
		if w, body := call(t, "POST", serve(t, &system{sendErr: catalog.ErrUnavailable})+"/api/v1/imports", lamp, "Content-Type", "application/x-ndjson"); w.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("response %d %s, want 503", w.StatusCode, body)
		}
	})
}
