package client_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"catalog"
	"catalog/api"
	"catalog/client"
)

// onlyReader is a file that cannot be read again.
type onlyReader struct{ io.Reader }

// importAll returns the outcomes of the results by line, and the error that ended them.
func importAll(t *testing.T, c *client.Client, file io.Reader) (outcomes string, err error) {
	t.Helper()
	for r, e := range c.ImportFile(t.Context(), file, client.CSV, api.ImportProductsParams{Currency: "EUR"}) {
		if err = e; err == nil {
			outcomes += fmt.Sprintf("%d %s\n", r.Line, r.Outcome)
		}
	}
	return outcomes, err
}

// results reads the file and responds with results of which the last one has a line end.
func results(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, text)
	}
}

func TestImportFile(t *testing.T) {
	const file = "sku,name,price\nA,Lamp,5\nB,Cup,6\n"
	const first, second = `{"line":2,"outcome":"created","position":"1.2"}` + "\n", `{"line":3,"outcome":"changed","position":"1.3"}` + "\n"
	t.Run("the file and its options are sent, and each result is returned", func(t *testing.T) {
		var sent string
		s, c := run(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			sent = string(body)
			fmt.Fprint(w, first+second)
		})
		outcomes, err := importAll(t, c, onlyReader{strings.NewReader(file)})
		if err != nil || outcomes != "2 created\n3 changed\n" || sent != file {
			t.Errorf("ImportFile returns %q, %v and sends %q", outcomes, err, sent)
		}
		if r := s.requests[0]; r.Header.Get("Content-Type") != "text/csv" || r.Header.Get("Idempotency-Key") == "" || r.URL.String() != "/api/v1/imports?currency=EUR" {
			t.Errorf("request %s with the header %v", r.URL, r.Header)
		}
	})
	for name, broken := range map[string]string{
		"the response is cut off":     first + `{"line":3,"out`,
		"the gateway ends the import": first + `{"problem":{"title":"x","status":503,"code":"unavailable"}}` + "\n",
	} {
		t.Run("if "+name+", a file that can be read again is, and no result is returned twice", func(t *testing.T) {
			s, c := run(t, results(broken), abort, results(strings.ReplaceAll(first, "created", "unchanged")+second))
			in := strings.NewReader("a title\n" + file)
			if _, err := in.Seek(int64(len("a title\n")), io.SeekStart); err != nil {
				t.Fatal(err)
			}
			outcomes, err := importAll(t, c, in)
			if err != nil || outcomes != "2 created\n3 changed\n" || len(s.requests) != 3 {
				t.Errorf("ImportFile returns %q, %v after %d requests", outcomes, err, len(s.requests))
			}
			if a, b := s.requests[0].Header.Get("Idempotency-Key"), s.requests[2].Header.Get("Idempotency-Key"); a == "" || a != b {
				t.Errorf("the keys are %q and %q; want the same one", a, b)
			}
		})
		t.Run("if "+name+", an import of another file ends with an error", func(t *testing.T) {
			s, c := run(t, results(broken))
			outcomes, err := importAll(t, c, onlyReader{strings.NewReader(file)})
			if !errors.Is(err, catalog.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "import it again") || outcomes != "2 created\n" || len(s.requests) != 1 {
				t.Errorf("ImportFile returns %q, %v after %d requests", outcomes, err, len(s.requests))
			}
		})
	}
	t.Run("results are returned while the file is sent", func(t *testing.T) {
		out, in := io.Pipe()
		_, c := run(t, func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			_ = control.EnableFullDuplex()
			for line := 1; ; line++ {
				if _, err := r.Body.Read(make([]byte, 100)); err != nil {
					return
				}
				fmt.Fprintf(w, `{"line":%d,"outcome":"created","position":"1.2"}`+"\n", line)
				_ = control.Flush()
			}
		})
		rows := 1
		go func() { _, _ = io.WriteString(in, "A\n") }()
		for r, err := range c.ImportFile(t.Context(), out, client.CSV, api.ImportProductsParams{}) {
			if err != nil || r.Line != int64(rows) {
				t.Fatalf("result of line %d, %v; want line %d", r.Line, err, rows)
			}
			if rows++; rows > 3 { // the caller may stop
				break
			}
			go func() { _, _ = io.WriteString(in, "B\n") }()
		}
		in.Close()
	})
	t.Run("an error of the file ends the import", func(t *testing.T) {
		broken := errors.New("the disk is broken")
		_, c := run(t, results(first))
		if _, err := importAll(t, c, io.MultiReader(strings.NewReader(file), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("ImportFile returns %v; want %v", err, broken)
		}
	})
	t.Run("a refusal is not repeated", func(t *testing.T) {
		s, c := run(t, problem(catalog.CodeInvalid))
		if _, err := importAll(t, c, strings.NewReader(file)); !errors.Is(err, catalog.ErrInvalid) || len(s.requests) != 1 {
			t.Errorf("ImportFile returns %v after %d requests", err, len(s.requests))
		}
	})
	t.Run("the time for retries begins again with each new result", func(t *testing.T) {
		handlers := []http.HandlerFunc{}
		var all, want string
		for line := 1; line <= 6; line++ {
			handlers = append(handlers, results(all+`{"line`), results(all+`{"line`))
			all += fmt.Sprintf(`{"line":%d,"outcome":"created"}`+"\n", line)
			want += fmt.Sprintf("%d created\n", line)
			handlers = append(handlers, results(all+`{"line`))
		}
		_, c := run(t, append(handlers, results(all))...)
		c.RetryTimeout = 3 * time.Second // for the tries of one result; all of them take longer
		if outcomes, err := importAll(t, c, strings.NewReader(file)); err != nil || outcomes != want {
			t.Errorf("ImportFile returns %q, %v", outcomes, err)
		}
	})
}

// TestImportFile_options sets one option after the other, by reflection: an option that the
// client does not send leaves no parameter.
func TestImportFile_options(t *testing.T) {
	var sent url.Values
	_, c := run(t, func(_ http.ResponseWriter, r *http.Request) { sent = r.URL.Query() })
	params := reflect.TypeFor[api.ImportProductsParams]()
	for i := range params.NumField() {
		f := params.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("form"), ",")
		if name == "" { // a header
			continue
		}
		var o api.ImportProductsParams
		want := "x"
		switch v := reflect.ValueOf(&o).Elem().Field(i); v.Kind() {
		case reflect.String:
			v.SetString(want)
		case reflect.Int:
			v.SetInt(7)
			want = "7"
		case reflect.Pointer:
			v.Set(reflect.ValueOf(new(bool)))
			want = "false"
		default:
			t.Fatalf("no rule to set a %s: add one", v.Type())
		}
		for _, err := range c.ImportFile(t.Context(), strings.NewReader(""), client.CSV, o) {
			t.Fatal(err)
		}
		if len(sent) != 1 || sent.Get(name) != want {
			t.Errorf("ImportFile with %s sends %v; want %s=%s", f.Name, sent, name, want)
		}
	}
}
