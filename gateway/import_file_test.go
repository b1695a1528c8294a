package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"catalog/api"
)

// TestImport_file sends files as shops and suppliers write them.
func TestImport_file(t *testing.T) {
	const variants = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\nmug,Mug,Size,S,M-S,9.90\nmug,,,L,M-L,12.90\nmug,,,,,\n"
	for _, tt := range []struct{ name, contentType, encoding, query, body, want string }{
		{"the form of a CSV file is recognised", "text/csv", "", "", "Price list\n\nSKU;Name;Price\nA;Lamp;1.234,50 €\n", "4 created A 1234.50 EUR"},
		{"cells between tabs", "text/tab-separated-values", "", "currency=EUR", "sku\tname\tprice\nA\tLamp, round; 1|2\t5\n", "2 created A 5.00 EUR"},
		{"columns of a file without a header", "text/csv", "", "currency=EUR&columns=sku,name,,price", "A,Lamp,x,5\n", "1 created A 5.00 EUR"},
		{"a header behind other rows, and line ends", "text/csv", "", "currency=EUR&headerRow=3&lineEnds=cr", "a,b,c\rsku,name,price\rsku,name,price\rA,Lamp,5\r", "4 created A 5.00 EUR"},
		{"further categories as tags", "text/csv", "", "currency=EUR&otherCategories=tags", "sku,name,price,category\nA,Lamp,5,Light > Table|New\n", "2 created A 5.00 EUR"},
		{"a file that is not tidied", "text/csv", "", "currency=EUR&tidy=false", "sku,name,price\nA  1,Lamp,5\n", "2 created A  1 5.00 EUR"},
		{"a header and columns", "text/csv", "", "headerRow=2&columns=sku", "sku\nA\n", "400 -header-row and -columns exclude each other"},
		{"a price without a price", "text/csv", "", "", "sku,name,currency\nA,Lamp,EUR\n", "2 refused  0 : price.amount is missing, and a new product needs one"},
		{"an object that is not JSON", "application/x-ndjson", "", "", "{\"sku\":\"A\",\n", "1 refused: row the object does not end: the file may be cut off"},
		{"an object on several lines", "application/json", "", "", "{\n  \"sku\": \"A\",\n  \"name\": \"Lamp\",\n  \"price\": {\"amount\": 5, \"currency\": \"EUR\"}\n}\n", "1 created A 5.00 EUR"},
		{"objects on several lines", "application/x-ndjson", "", "", "\uFEFF\n{\n\"sku\":\"A\",\"name\":\"x\",\"price\":\"5 EUR\"\n}\n{\n\"sku\":\"A\",\"price\":\"6 EUR\"\n}", "2 created A 5.00 EUR|5 changed A 6.00 EUR"},
		{"a list in an object", "application/json", "", "", `{"count":2,"products":[{"sku":"A","name":"x","price":"5 EUR"},{"sku":"A","price":"6 EUR"}],"next":null}`, "1 created A 5.00 EUR|2 changed A 6.00 EUR"},
		{"a list in an object, on several lines", "application/json", "", "", "{\n  \"data\": {\n    \"items\": [\n      {\"sku\":\"A\",\"name\":\"x\",\"price\":\"5 EUR\"}\n    ]\n  }\n}", "1 created A 5.00 EUR"},
		{"lines with a comma behind each", "application/x-ndjson", "", "", "{\"sku\":\"A\",\"name\":\"x\",\"price\":{\"amount\":\"5\",\"currency\":\"EUR\"}},\n{\"sku\":\"A\",\"price\":{\"amount\":\"6\"}},\n", "1 created A 5.00 EUR|2 changed A 6.00 EUR"},
		{"a list behind blank lines", "application/json", "", "", "\n\n [{\"sku\":\"A\",\"name\":\"x\",\"price\":{\"amount\":\"5\",\"currency\":\"EUR\"}}]", "1 created A 5.00 EUR"},
		{"a first line that is long", "application/x-ndjson", "", "", `{"sku":"A","description":"` + strings.Repeat("x", 20_000) + `","name":"x","price":{"amount":"5","currency":"EUR"}}` + "\n{\"sku\":\"B\",\"name\":\"x\",\"price\":{\"amount\":\"5\",\"currency\":\"EUR\"}}\n", "1 refused: description must have at most 5000 characters|2 created B 5.00 EUR"},
		{"compressed JSON without the header", "application/json", "", "", packedText(t, `{"sku":"A"}`), "400 is compressed with gzip; send Content-Encoding: gzip"},
		{"a list in an object, compressed", "application/json", "gzip", "", packedText(t, `{"products":[{"sku":"A","name":"x","price":"5 EUR"}]}`), "1 created A 5.00 EUR"},
		{"lines in another type", "application/jsonl; charset=utf-8", "", "", "{\"sku\":\"A\",\"name\":\"x\",\"price\":{\"amount\":\"5\",\"currency\":\"EUR\"}}\n", "1 created A 5.00 EUR"},
		{"cells in the type of a browser", "application/vnd.ms-excel", "", "currency=EUR", "sku;name;price\nA;Lamp;5\n", "2 created A 5.00 EUR"},
		{"JSON in another encoding", "application/json; charset=iso-8859-1", "", "", "[{\"sku\":\"A\",\"name\":\"K\xFChler\",\"price\":\"5 EUR\"}]", "1 created A 5.00 EUR"},
		{"a form", "multipart/form-data; boundary=x", "", "", "--x\r\n", "415 curl --data-binary @FILE"},
		{"no row", "application/x-ndjson", "", "", "\n\n", "400 has no row"},
		{"a body that is not compressed", "application/x-ndjson", "gzip", "", "{}", "400 is not compressed with gzip"},
		{"a value that is not JSON", "application/x-ndjson", "", "", "\n{\"sku\":\"A\",\"brand\":NaN}\n", "2 refused: row is not JSON at column 20 (in brand): NaN is not a value in JSON"},
		{"gzip and a byte-order mark", "text/csv", "gzip", "", packedText(t, "\uFEFFsku;name;price\nA;Lamp;1.234,50 €\n"), "2 created A 1234.50 EUR"},
		{"the encoding of the content type", "text/csv; charset=windows-1252", "", "currency=EUR", "sku,name,price\nA,K\xFChler,5\n", "2 created A 5.00 EUR"},
		{"each row has a result, but not a blank one", "text/csv", "", "currency=EUR", "sku,name,price\nA,Lamp,5\n\nB,Cup,\"1,234\"\nA,Lamp,6\n# end\n,No sku,1\n", "2 created A 5.00 EUR|4 refused: row column price: price \"1,234\" can be 1.234|5 changed A 6.00 EUR|6 skipped: one of the comments|7 refused: sku is missing"},
		{"a preset, and rows that are not products", "text/csv", "", "preset=shopify&currency=USD", variants, "2 created M-S 9.90 USD|3 created M-L 12.90 USD|4 skipped: one of the rows of images"},
		{"columns for fields, and a note", "text/csv", "", "map=" + url.QueryEscape(`sku="No, long",name=Title,price=Net`) + "&long=cut&decimal=,", "\"No, long\";Title;Net\nA;" + strings.Repeat("x", 251) + ";5,5 EUR\n", "2 created A 5.50 EUR: name was cut from 251 to 250 characters"},
		{"JSON with members of other names", "application/json", "", "map=sku=number,name=title,price=price&currency=EUR", `[{"number":7,"title":"Lamp","price":"1.234,50"}]`, "1 created 7 1234.50 EUR"},
		{"a file without a column for the SKU", "text/csv", "", "", "one,two\n1,2\n", "400 no column is mapped to sku or id"},
		{"a file without rows", "text/csv", "", "", "sku,name\n", "400 has no row with a product"},
		{"a row without its last cells", "text/csv", "", "currency=EUR", "sku,name,price,brand\nA,Lamp,5\n", "2 created A 5.00 EUR"},
		{"entries of a JSON list on one line", "application/json", "", "currency=EUR", `[{"sku":"A","name":"x","price":5},{"sku":"B","price":"1,234"}]`, "1 created A 5.00 EUR|2 refused: row price \"1,234\" can be 1.234"},
		{"a column in another language", "text/csv", "", "", "Artikelnummer;Preis\nA;5\n", "400 no column is mapped to sku or id"},
		{"an empty file", "text/csv", "", "", "\n", "400 the file is empty"},
		{"a row above the limit", "text/csv", "", "currency=EUR", "sku,name,price\nA," + strings.Repeat("x", 200<<10) + ",5\nB,Lamp,5\n", "2 refused: row is longer than 131072 bytes|3 created B 5.00 EUR"},
		{"a parameter that is not valid", "text/csv", "", "empty=never", "sku\nA\n", "400 -empty must be clear or keep"},
		{"a preset that does not exist", "text/csv", "", "preset=excel", "sku\nA\n", "400 preset"},
		{"an encoding that does not exist", "text/csv; charset=x", "", "", "sku\nA\n", `400 -encoding \"x\" is unknown`},
		{"another type", "text/plain", "", "", "sku\nA\n", "415 text/csv"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &system{}
			w, body := call(t, "POST", serve(t, s)+"/api/v1/imports?"+tt.query, tt.body, "Content-Type", tt.contentType, "Content-Encoding", tt.encoding)
			status, detail, _ := strings.Cut(tt.want, " ")
			if w.StatusCode != http.StatusOK {
				if status != fmt.Sprint(w.StatusCode) || !strings.Contains(body, detail) {
					t.Errorf("response %d %s; want %s", w.StatusCode, body, tt.want)
				}
				return
			}
			wanted := strings.Split(tt.want, "|")
			lines := bufio.NewScanner(strings.NewReader(body))
			n := 0
			for ; lines.Scan(); n++ {
				if got := describe(t, s, lines.Bytes()); n >= len(wanted) || !strings.HasPrefix(got, wanted[n]) {
					t.Errorf("result %d is %q; want %q", n+1, got, wanted)
				}
			}
			if n != len(wanted) {
				t.Errorf("%d results; want %d", n, len(wanted))
			}
		})
	}
	t.Run("a file of comments ends", func(t *testing.T) {
		w, body := call(t, "POST", serve(t, &system{})+"/api/v1/imports", "sku,name\n"+strings.Repeat("#\n", 100_000), "Content-Type", "text/csv")
		if w.StatusCode != http.StatusOK || len(body) > 5<<20 || !strings.Contains(body[len(body)-1000:], `{"problem":`) {
			t.Errorf("response %d with %d bytes; want a problem after 10,000 rows", w.StatusCode, len(body))
		}
	})
}

// packedText returns a text compressed with gzip.
func packedText(t *testing.T, text string) string {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(text)) // to memory
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}

// describe returns a result of an import with the SKU and price that its product has.
func describe(t *testing.T, s *system, line []byte) string {
	t.Helper()
	var r api.ImportResult
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	text := fmt.Sprintf("%d %s", r.Line, r.Outcome)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Position.String() == r.Position {
			text += fmt.Sprintf(" %s %s %s", e.Product.SKU, e.Product.Price.Amount(), e.Product.Price.Currency)
		}
	}
	for _, f := range r.Problem.Errors {
		text += ": " + f.Field + " " + f.Reason
	}
	for _, note := range r.Notes {
		text += ": " + note
	}
	return text
}
