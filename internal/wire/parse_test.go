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
