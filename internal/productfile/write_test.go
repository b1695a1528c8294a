package productfile_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"catalog"
	"catalog/internal/productfile"
	"catalog/internal/wire"
)

// examples returns a product with all fields set, and one with only the required ones.
func examples(t *testing.T) []catalog.Product {
	t.Helper()
	full := catalog.ProductData{
		Price:      catalog.Money{Decimal: catalog.Decimal{Units: 149, Nanos: 900_000_000}, Currency: "EUR"},
		Attributes: map[string]string{"width": "45", "seat, colour": `"red" & <blue>`},
	}
	for i := range catalog.Fields {
		switch f := &catalog.Fields[i]; f.Kind {
		case catalog.KindMoney, catalog.KindMap:
		case catalog.KindList:
			*f.List(&full) = []string{f.Example, "second entry"}
		case catalog.KindProse:
			*f.Text(&full) = "First line, \"quoted\".\n\nSecond <line>; & more."
		default:
			*f.Text(&full) = f.Example
		}
	}
	v := reflect.ValueOf(full)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("ProductData.%s is not set by the table of fields", v.Type().Field(i).Name)
		}
	}
	small := catalog.ProductData{Name: "Stool", Price: catalog.Money{Decimal: catalog.Decimal{Units: 9}, Currency: "JPY"}}
	return []catalog.Product{
		{ID: catalog.DerivedID("full"), Version: 3, ProductData: full, CreatedAt: time.Now(), UpdatedAt: time.Now()},
		{ID: catalog.DerivedID("small"), Version: 1, ProductData: small},
	}
}

func write(t *testing.T, asCSV bool, products []catalog.Product) string {
	t.Helper()
	var out strings.Builder
	w := productfile.NewWriter(&out, asCSV, []string{"seat, colour", "width"})
	for _, p := range products {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestWriter(t *testing.T) {
	products := examples(t)
	for name, asCSV := range map[string]bool{"CSV": true, "NDJSON": false} {
		t.Run("what is written as "+name+" is read as the same products", func(t *testing.T) {
			file := write(t, asCSV, products)
			f := productfile.Format{Kind: productfile.JSON}
			if asCSV {
				f = plain
			}
			var got []catalog.Product
			err := productfile.Read(strings.NewReader(file), f, func(r productfile.Row) error {
				if r.Err != nil {
					return r.Err
				}
				id, patch, err := wire.ParseRow(r.JSON)
				if err != nil {
					return err
				}
				// The data must come from the row alone: apply it to other data.
				before := catalog.ProductData{SKU: "X", Name: "X", Brand: "X", Description: "X", Category: "X", Tags: []string{"X"}}
				got = append(got, catalog.Product{ID: id, ProductData: patch.Apply(before)})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range products {
				if i >= len(got) || got[i].ID != p.ID || len(catalog.Diff(p.ProductData, got[i].ProductData)) > 0 {
					t.Errorf("product %d is read as %+v; want %+v", i, got[i:min(i+1, len(got))], p.ProductData)
				}
			}
		})
	}
	t.Run("columns are in the order of the contract", func(t *testing.T) {
		header, _, _ := strings.Cut(write(t, true, products), "\n")
		columns := strings.Replace(strings.Join(catalog.FieldNames(), ","), "price", "price,currency", 1)
		want := "id," + strings.Replace(columns, "attributes", `"attributes.seat, colour",attributes.width`, 1)
		if header != want {
			t.Errorf("header %s; want %s", header, want)
		}
	})
	t.Run("a line of NDJSON has all fields in the order of the contract, and no others", func(t *testing.T) {
		line := strings.Split(write(t, false, products), "\n")[1]
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		names := append([]string{"id"}, catalog.FieldNames()...)
		if len(fields) != len(names) {
			t.Errorf("%d fields in %s; want %v", len(fields), line, names)
		}
		rest := line
		for _, name := range names {
			_, after, found := strings.Cut(rest, `"`+name+`":`)
			if !found {
				t.Fatalf("%s is missing or not in its place in %s", name, line)
			}
			rest = after
		}
	})
	t.Run("NDJSON does not escape characters for HTML", func(t *testing.T) {
		if line := write(t, false, products); !strings.Contains(line, `Second <line>; & more.`) {
			t.Errorf("%s has escaped characters", line)
		}
	})
	t.Run("a CSV file without products has the line with the columns", func(t *testing.T) {
		expectRows(t, read(t, plain, write(t, true, nil)))
		if got := write(t, false, nil); got != "" {
			t.Errorf("NDJSON without products is %q; want nothing", got)
		}
	})
}
