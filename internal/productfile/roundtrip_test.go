package productfile_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/productfile"
	"catalog/internal/wire"
)

// pieces are the parts of generated texts: those that a format of files can lose.
var pieces = []string{
	" ", "  ", "\u00a0", "\u202f", "\u3000", "\t", "\n", "\r\n", "\r", "\n\n", "|", "||", `\`, `\|`, `\\`, `"`, `""`, "'", ",", ";", "=", "=1+1", "+", "-", "@",
	"a", "B", "é", "ß", "😀", "👩‍👩‍👧", "0", "007", "4.00638E+12", "1,234.50", "12.", "#N/A", "null", "<b>x</b>", "&amp;", "/", ">", "sep=;", "\u2028", "{", "}", "[1]", "reason",
}

// generator makes products that keep the rules of the catalogue.
type generator struct{ *rand.Rand }

func (g generator) text(field *catalog.Field, kind catalog.Kind, most int) string {
	for {
		n := 1 + g.IntN(6)
		if g.IntN(200) == 0 {
			n = most // about the longest possible text
		}
		var b strings.Builder
		for range n {
			b.WriteString(pieces[g.IntN(len(pieces))])
		}
		s := b.String()
		if kind == catalog.KindLine {
			s = strings.TrimSpace(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s))
		}
		if r := []rune(s); len(r) > most {
			s = strings.TrimSpace(string(r[:most]))
		}
		f := *field
		if f.Kind, f.MaxLen = kind, most; f.Kind == catalog.KindLine && f.Name == "category" {
			s = strings.Trim(strings.ReplaceAll(s, "/", ""), " \u00a0\u202f\u3000\u2028") + "/" + "x"
		}
		if s = wire.NormalizeText(field, s); f.Check(s) == "" && len(s) > 0 {
			return s
		}
	}
}

func (g generator) product() catalog.Product {
	var id catalog.ID
	for i := range id {
		id[i] = byte(1 + g.IntN(255))
	}
	var d catalog.ProductData
	for i := range catalog.Fields {
		f := &catalog.Fields[i]
		if !f.Required && g.IntN(3) == 0 {
			continue
		}
		switch f.Kind {
		case catalog.KindMoney:
			currencies := []string{"EUR", "JPY", "KWD"}
			d.Price = catalog.Money{Currency: currencies[g.IntN(3)], Decimal: catalog.Decimal{Units: g.Int64N(10_000)}}
			if digits := catalog.CurrencyDigits(d.Price.Currency); digits > 0 {
				d.Price.Nanos = int32(g.IntN(100)) * 10_000_000
				if digits == 3 {
					d.Price.Nanos = int32(g.IntN(1000)) * 1_000_000
				}
			}
		case catalog.KindList:
			var list []string
			for range g.IntN(4) {
				if s := g.text(f, catalog.KindLine, f.MaxLen); !slices.Contains(list, s) {
					list = append(list, s)
				}
			}
			*f.List(&d) = list
		case catalog.KindMap:
			d.Attributes = map[string]string{}
			for range g.IntN(4) {
				value := ""
				if g.IntN(4) > 0 {
					value = g.text(f, catalog.KindProse, f.MaxLen)
				}
				d.Attributes[g.text(f, catalog.KindLine, f.MaxKeyLen)] = value
			}
		default:
			if f.Name == "gtin" {
				d.GTIN = f.Example
				continue
			}
			*f.Text(&d) = g.text(f, f.Kind, f.MaxLen)
		}
	}
	return catalog.Product{ID: id, Version: 1, ProductData: d}
}

// TestRoundTrip writes generated catalogues and reads them back: 10,000 catalogues
// with CATALOG_TEST_FULL=1.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	catalogues := 100
	if os.Getenv("CATALOG_TEST_FULL") == "1" {
		catalogues = 10_000
	}
	for seed := range uint64(catalogues) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		products := make([]catalog.Product, 1+g.IntN(4))
		keys := map[string]bool{}
		for i := range products {
			products[i] = g.product()
			if err := products[i].Validate(); err != nil {
				t.Fatalf("seed %d: the generated product is not valid: %v", seed, err)
			}
			for k := range products[i].Attributes {
				keys[k] = true
			}
		}
		for _, asCSV := range []bool{true, false} {
			var file strings.Builder
			w := productfile.NewWriter(&file, asCSV, slices.Sorted(maps.Keys(keys)))
			for _, p := range products {
				if err := w.Write(p); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			if !sameProducts(t, file.String(), products) {
				t.Fatalf("seed %d, CSV %v: the file is %.2000q", seed, asCSV, file.String())
			}
		}
	}
}

// sameProducts reports whether a file is read as the given products, whatever they were
// before.
func sameProducts(t *testing.T, file string, products []catalog.Product) bool {
	t.Helper()
	n := 0
	err := productfile.Read(strings.NewReader(file), productfile.Format{}, func(r productfile.Row) error {
		if r.Err != nil {
			return r.Err
		}
		id, patch, err := wire.ParseRow(r.JSON)
		if err != nil {
			return err
		}
		if n >= len(products) || id != products[n].ID {
			t.Errorf("row %d is about product %s", n, id)
			return nil
		}
		before := products[n].ProductData // with the attributes of the product, which the row sets or removes
		before.Name, before.SKU, before.Brand, before.Description, before.Category, before.GTIN, before.Tags = "X", "X", "X", "X", "X", "", []string{"X"}
		before.Attributes = map[string]string{}
		for k := range products[n].Attributes {
			before.Attributes[k] = "X"
		}
		if diff := catalog.Diff(products[n].ProductData, patch.Apply(before)); len(diff) > 0 {
			t.Errorf("product %d is read with %+.500q", n, diff)
		}
		n++
		return nil
	})
	if err != nil || n != len(products) {
		t.Errorf("%d of %d products were read: %v", n, len(products), err)
	}
	return !t.Failed()
}
