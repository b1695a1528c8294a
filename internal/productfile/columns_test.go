package productfile_test

import (
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/productfile"
)

// TestHint reads files whose columns have other names than the fields.
func TestHint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ header, want string }{
		{"Artikelnummer;Bezeichnung;Preis;Warengruppe", "-map 'sku=Artikelnummer,name=Bezeichnung,price=Preis,category=Warengruppe'"},
		{"Art.-Nr.;Artikelbezeichnung;VK-Preis (€);Hersteller", "-map 'sku=Art.-Nr.,name=Artikelbezeichnung,price=VK-Preis (€),brand=Hersteller'"},
		{"Référence;Désignation;Prix TTC;Catégorie;Marque", "-map 'sku=Référence,name=Désignation,price=Prix TTC,category=Catégorie,brand=Marque'"},
		{"Código;Nombre;Precio;Descripción", "-map 'sku=Código,name=Nombre,price=Precio,description=Descripción'"},
		{"Codice articolo;Titolo;Prezzo", "-map 'sku=Codice articolo,name=Titolo,price=Prezzo'"},
		{"Indeks;Nazwa;Cena brutto;Kod EAN", "-map 'sku=Indeks,name=Nazwa,price=Cena brutto,gtin=Kod EAN'"},
		{"Артикул;Название;Цена", "-map 'sku=Артикул,name=Название,price=Цена'"},
		{"商品コード;商品名;価格", "-map 'sku=商品コード,name=商品名,price=価格'"},
		{"SKU*;Product name;Price, net", `-map 'sku=SKU*,name=Product name'`},
		{"Item no.;\"Price (EUR, net)\";Maker's name", `-map 'sku=Item no.,price="Price (EUR, net)"'`},
		{"sku;name;price_eur;price_usd", "-map 'sku=sku,name=name,price=price_eur'"},
		{"id;title;price", "-map 'sku=id,name=title,price=price'"},                                                      // the ids of another system
		{"sku;Bezeichnung;Preis;attributes.w", "-map 'sku=sku,name=Bezeichnung,price=Preis,attributes.w=attributes.w'"}, // -map names all columns
		{"Handle;Title;Vendor;Variant SKU;Variant Price;Tags", "-preset shopify"},
		{"SKU;Name;Regular price;Categories;Tags;Published", "-preset woocommerce"},
		{"id;title;link;price;brand;gtin", "-preset google"},
		{"sku;name;price;note", ""},
		{"one;two", ""},
	} {
		r, err := productfile.NewReader(strings.NewReader(tt.header+"\n"), productfile.Format{Delimiter: ';'})
		hint := ""
		if err == nil {
			hint = r.Recognised().Hint
		} else if _, after, ok := strings.Cut(err.Error(), "; give "); ok {
			hint, _, _ = strings.Cut(after, "; the columns are")
			if hint == "-map sku=COLUMN or -preset" {
				hint = ""
			}
		}
		if hint != tt.want {
			t.Errorf("the hint for %s is %q (%v); want %q", tt.header, hint, err, tt.want)
		}
		if m, ok := strings.CutPrefix(hint, "-map '"); ok { // the flag reads the file
			f := productfile.Format{Delimiter: ';'}
			if f.Mapping.Columns, err = productfile.ParseMap(strings.TrimSuffix(m, "'")); err == nil {
				_, err = productfile.NewReader(strings.NewReader(tt.header+"\n"), f)
			}
			if err != nil {
				t.Errorf("%s: with %s: %v", tt.header, hint, err)
			}
		}
	}
	t.Run("a file of an export has no hint", func(t *testing.T) {
		columns := append(slices.Clone(productfile.Columns()), "attributes.title")
		r, err := productfile.NewReader(strings.NewReader(strings.Join(columns, ",")+"\n"), productfile.Format{})
		if err != nil || r.Recognised().Hint != "" {
			t.Errorf("the hint is %v, %v; want none", r, err)
		}
	})
	t.Run("each field has names", func(t *testing.T) {
		for i := range catalog.Fields {
			f := &catalog.Fields[i]
			if f.Kind == catalog.KindMap {
				continue
			}
			r, err := productfile.NewReader(strings.NewReader("sku,"+f.Name+" *\n"), productfile.Format{})
			if f.Name != "sku" && (err != nil || !strings.Contains(r.Recognised().Hint, f.Name+"="+f.Name+" *")) {
				t.Errorf("the column %s * has no hint: %v", f.Name, err)
			}
		}
	})
	t.Run("members of JSON objects have a hint, too", func(t *testing.T) {
		rows := read(t, productfile.Format{}, `{"handle":"h","title":"x","vendor":"v","product_type":"t","tags":"a","variants":[{"sku":"A"}]}`)
		if len(rows) != 1 || !strings.HasSuffix(rows[0], "; to leave them out, or assign them to fields, give -preset shopify") {
			t.Errorf("rows %q; want the preset", rows)
		}
	})
}
