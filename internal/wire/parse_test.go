package wire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/wire"
)

func TestParseProductData(t *testing.T) {
	const good = `{"sku":"A","name":"Chair","price":{"amount":"1.50","currency":"EUR"},"tags":["a"],"attributes":{"k":"v"}}`
	d, err := wire.ParseProductData([]byte(good))
	if err != nil || d.SKU != "A" || d.Price.Amount() != "1.50" || len(d.Tags) != 1 || d.Attributes["k"] != "v" {
		t.Fatalf("ParseProductData = %+v, %v", d, err)
	}
	t.Run("one refusal lists every bad field", func(t *testing.T) {
		_, err := wire.ParseProductData([]byte(`{"sku":7,"nmae":"x","price":{"amount":1.5,"currency":"EUX"},"tags":["a",2],"attributes":{"k":null,"l":[]}}`))
		var r *catalog.Refusal
		if !errors.As(err, &r) {
			t.Fatal(err)
		}
		var fields []string
		for _, f := range r.Fields {
			fields = append(fields, f.Field)
		}
		for _, want := range []string{"sku", "nmae", "name", "price.amount", "price.currency", "tags[1]", "attributes.l"} {
			if !strings.Contains(fmt.Sprint(fields), want) {
				t.Errorf("%s is not among the refused fields %v", want, fields)
			}
		}
	})
	t.Run("a refusal names twenty fields and counts the others", func(t *testing.T) {
		for name, body := range map[string]string{
			"tags":       `{"tags":[` + strings.Repeat("1,", 799) + `1]}`,
			"members":    `{` + members("%q:1", 800) + `}`,
			"attributes": `{"attributes":{` + members("%q:1", 800) + `}}`,
			"keys":       `{"name":"x","price":{"amount":"1","currency":"EUR"},"attributes":{` + members(`" %s":"v"`, 100) + `}}`,
		} {
			_, err := wire.ParseProductData([]byte(body))
			var r *catalog.Refusal
			if !errors.As(err, &r) || len(r.Fields) != catalog.MaxFieldErrors+1 || !strings.HasPrefix(r.Fields[catalog.MaxFieldErrors].Reason, "and ") {
				t.Errorf("%s: %d fields; want %d and one that counts the others", name, len(r.Fields), catalog.MaxFieldErrors)
			}
		}
	})
	t.Run("a refusal is small, however long the names in the body are", func(t *testing.T) {
		long := strings.Repeat("n", 500_000)
		for _, body := range []string{
			`{"` + long + `":1}`, `{"attributes":{"` + long + `":1}}`, `{"attributes":{"` + long + `":"\u0000"}}`,
			`{"name":"` + long + `","price":{"amount":"` + long + `","currency":"` + long + `"}}`, `{"tags":["` + long + `","` + long + `"]}`,
		} {
			if _, err := wire.ParseProductData([]byte(body)); err == nil || len(err.Error()) > 4000 {
				t.Errorf("%.40s…: the refusal has %d bytes; want at most 4000", body, len(fmt.Sprint(err)))
			}
		}
	})
	t.Run("the parser stops at more values than a product can have", func(t *testing.T) {
		_, err := wire.ParseProductData([]byte(`{"tags":[` + strings.Repeat("1,", 500_000) + `1]}`))
		var r *catalog.Refusal
		if !errors.As(err, &r) || len(r.Fields) != 1 || r.Fields[0].Field != "body" {
			t.Errorf("ParseProductData = %v; want one field, the body", err)
		}
	})
	t.Run("null is no value of a field", func(t *testing.T) {
		for _, member := range []string{`"tags":null`, `"sku":null`, `"attributes":null`, `"attributes":{"a":null}`} {
			if _, err := wire.ParseProductData([]byte(`{"name":"Chair","price":{"amount":"1","currency":"EUR"},` + member + `}`)); err == nil {
				t.Errorf("%s is accepted, and the contract does not allow it", member)
			}
		}
	})
	t.Run("a price needs an amount and a currency, and one that is missing is one error", func(t *testing.T) {
		for price, want := range map[string]string{
			``: "price is missing;", `,"price":{}`: "price is missing;", `,"price":null`: "price is required; it cannot be null",
			`,"price":{"currency":"EUR"}`: "price.amount is missing;", `,"price":{"amount":"0"}`: "price.currency is missing;",
			`,"price":{"amount":5}`: "price.currency is missing; give an ISO 4217 code such as EUR; price.amount must be",
		} {
			_, err := wire.ParseProductData([]byte(`{"name":"Chair"` + price + `}`))
			if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), "is missing") > 1 {
				t.Errorf("%s = %v; want %s", price, err, want)
			}
		}
		if _, err := wire.ParseVoidPrice([]byte(`{"reason":"x","price":{"currency":"EUR"}}`)); err == nil || !strings.HasPrefix(err.Error(), "price.amount is missing") {
			t.Errorf("ParseVoidPrice = %v; want price.amount", err)
		}
	})
	t.Run("half of a surrogate pair is refused", func(t *testing.T) {
		for _, bad := range []string{`\ud83d`, `\uDE00`, `\ude00\ud83d`, `a\ud83db`, `\ud83d\ud83d\ude00`, `\\\ud83d`, `\ud83d\n`} {
			if d, err := wire.ParseProductData([]byte(`{"name":"` + bad + `","price":{"amount":"1","currency":"EUR"}}`)); err == nil {
				t.Errorf("%s is stored as %q; want a refusal", bad, d.Name)
			}
		}
		for text, want := range map[string]string{`\ud83d\ude00`: "😀", `\\ud83d`: `\ud83d`, `\u00e9\"\ud83D\uDE00\\`: `é"😀\`} {
			if d, err := wire.ParseProductData([]byte(`{"name":"` + text + `","price":{"amount":"1","currency":"EUR"}}`)); err != nil || d.Name != want {
				t.Errorf("%s = %q, %v; want %q", text, d.Name, err, want)
			}
		}
	})
	t.Run("a syntax error names the line", func(t *testing.T) {
		_, err := wire.ParseProductData([]byte("{\n  \"name\": x\n}"))
		if err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Fatalf("ParseProductData = %v; want an error that names line 2", err)
		}
	})
}

func TestParsePatch(t *testing.T) {
	p, err := wire.ParsePatch([]byte(`{"sku":null,"description":null,"price":{"amount":"2"},"tags":null,"attributes":{"a":"1","b":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	d := p.Apply(chair())
	if d.SKU != "" || d.Description != "" || d.Name != "Folding chair" || d.Price.Amount() != "2.00" || d.Price.Currency != "EUR" ||
		len(d.Tags) != 0 || d.Attributes["a"] != "1" || d.Attributes["width"] != "45" {
		t.Fatalf("Apply = %+v", d)
	}
	if p, err = wire.ParsePatch([]byte(`{"attributes":null}`)); err != nil || len(p.Apply(chair()).Attributes) != 0 {
		t.Fatalf("attributes null keeps %v, %v", p.Apply(chair()).Attributes, err)
	}
}

func TestParsePatch_removals(t *testing.T) {
	for name, body := range map[string]string{
		"too long":     `{"attributes":{"` + strings.Repeat("k", catalog.MaxAttributeKey+1) + `":null}}`,
		"a megabyte":   `{"attributes":{"` + strings.Repeat("k", 1_000_000) + `":null}}`,
		"blank":        `{"attributes":{" ":null}}`,
		"control":      `{"attributes":{"a\u0007":null}}`,
		"too many":     `{"attributes":{` + members("%q:null", catalog.MaxAttributes+1) + `}}`,
		"among others": `{"attributes":{"a":"1","` + strings.Repeat("k", 65) + `":null}}`,
	} {
		if _, err := wire.ParsePatch([]byte(body)); err == nil {
			t.Errorf("%s: the name of a removed attribute is accepted; want the rules of all others", name)
		}
		if _, _, err := wire.ParseRow([]byte(`{"id":"0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b",` + body[1:])); err == nil {
			t.Errorf("%s: the name of a removed attribute is accepted in a row of an import", name)
		}
	}
	all := `{"attributes":{` + members("%q:null", catalog.MaxAttributes) + `,` + members(`"set%s":"v"`, catalog.MaxAttributes) + `}}`
	if _, err := wire.ParsePatch([]byte(all)); err != nil {
		t.Errorf("ParsePatch = %v; want that as many attributes as a product has can be replaced", err)
	}
}

// members returns n members of a JSON object. The format gets a different text each time.
func members(format string, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, fmt.Sprintf("m%d", i))
	}
	return strings.Join(all, ",")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"sku":"A","name":"Chair","price":{"amount":"1.50","currency":"EUR"},"tags":["a"],"attributes":{"k":"v"}}`))
	f.Add([]byte(`{"id":"0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b","attributes":null,"price":{"amount":null}}`))
	f.Add([]byte(`[[[[[[[[[[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func() error{
			func() error { _, err := wire.ParsePatch(b); return err },
			func() error { _, _, err := wire.ParseRow(b); return err },
			func() error {
				d, err := wire.ParseProductData(b)
				if err == nil {
					err = d.Validate()
				}
				return err
			},
		} {
			var r *catalog.Refusal
			if err := parse(); err != nil && (!errors.As(err, &r) || len(r.Fields) == 0) {
				t.Fatalf("error %v; want a refusal that names a field", err)
			}
		}
	})
}
