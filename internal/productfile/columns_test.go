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
		{"id;title;price", "-map 'sku=id,name=title,price=price'"},                                                                                                                          // the ids of another system
		{"sku;Bezeichnung;Preis;attributes.w", "-map 'sku=sku,name=Bezeichnung,price=Preis,attributes.w=attributes.w'"},                                                                     // -map names all columns
		{"Product Id;Product Handle;Product Title;Variant Sku;Variant Barcode;Variant Price EUR", "-map 'name=Product Title,sku=Variant Sku,gtin=Variant Barcode,price=Variant Price EUR'"}, // Medusa
		{"product-id;title", "-map 'sku=product-id,name=title'"},
		{"item-name;seller-sku;price", "-map 'name=item-name,sku=seller-sku,price=price'"},                                                                                                           // Amazon
		{"External ID;Name;Internal Reference;Sale Price", "-map 'name=Name,sku=Internal Reference,price=Sale Price'"},                                                                               // Odoo
		{"*Action(SiteID=US);CustomLabel;*Title;*StartPrice", "-map 'sku=CustomLabel,name=*Title,price=*StartPrice'"},                                                                                // eBay
		{"g:id;g:title;g:price;g:product_type", ""},                                                                                                                                                  // Google's names in XML: no SKU
		{"sku;categories;name-en_US;name-fr_FR;description-en_US-ecommerce;price-EUR", "-map 'sku=sku,category=categories,name=name-en_US,description=description-en_US-ecommerce,price=price-EUR'"}, // Akeneo
		{"id;parent_id;product_number;name;price_gross;ean", "-map 'sku=product_number,name=name,price=price_gross,gtin=ean'"},                                                                       // Shopware, with ids of its own
		{"ID;Artikelnummer;Name;Kategorien", "-map 'sku=Artikelnummer,name=Name,category=Kategorien'"},                                                                                               // WooCommerce in German
		{"TITLE;DESCRIPTION;PRICE;CURRENCY_CODE;TAGS;SKU", "-map 'name=TITLE,description=DESCRIPTION,price=PRICE,currency=CURRENCY_CODE,tags=TAGS,sku=SKU'"},                                         // Etsy: a preset would read less
		{"sku;Brand ID;name", ""},
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
	t.Run("an id of another system is refused with a flag that reads the file without it", func(t *testing.T) {
		for header, want := range map[string]string{
			"id,sku,name":                    "give -map 'sku=sku,name=name'",
			"id,name,price":                  "give -map 'sku=id,name=name,price=price'",
			"id,title,link,price,brand,gtin": "give -preset google",
		} {
			rows := read(t, productfile.Format{}, header+"\n17,5,5\n")
			if len(rows) != 1 || !strings.HasSuffix(rows[0], want) {
				t.Errorf("the row of a file with the columns %s is %q; want %s", header, rows, want)
			}
		}
	})
	t.Run("a row without a text in the columns that are read is skipped", func(t *testing.T) {
		rows := read(t, productfile.Format{Currency: "EUR"}, "sku,name,price,Values\nA,Lamp,5,red\n,,,blue\n")
		if len(rows) != 2 || rows[1] != "3 - rows without a text in the columns that are read" {
			t.Errorf("rows %q; want the further value of the first product to be skipped", rows)
		}
	})
	t.Run("commas between letters separate categories", func(t *testing.T) {
		rows := read(t, productfile.Format{}, "sku,category\nA,\"lamps,table_lamps\"\nB,\"Cable 1,5 m\"\nC,\"Nuts, bolts\"\n")
		if len(rows) != 3 || !strings.HasSuffix(rows[0], `{"category":"lamps","sku":"A"}`) || rows[1] != `3 {"category":"Cable 1,5 m","sku":"B"}` || rows[2] != `4 {"category":"Nuts, bolts","sku":"C"}` {
			t.Errorf("rows %q", rows)
		}
	})
	t.Run("cells as databases and shops write them", func(t *testing.T) {
		rows := read(t, productfile.Format{}, "sku,name,category,tags\n"+
			`A,x,"[""Home &amp; Garden >> Lamps""]","[""a"",""b, c""]"`+"\nB,x,Home &amp; Garden &gt; Lamps,[new]\nC,K\uFFFDhler,,\n")
		expectRows(t, rows,
			`2 {"category":"Home & Garden/Lamps","name":"x","sku":"A","tags":["a","b, c"]}`,
			`3 {"category":"Home & Garden/Lamps","name":"x","sku":"B","tags":["[new]"]}`,
			"4 (column name has \uFFFD in place of a character that was lost; export the file again in UTF-8) {\"category\":null,\"name\":\"K\uFFFDhler\",\"sku\":\"C\",\"tags\":[]}")
	})
	t.Run("lists in the objects of other programs", func(t *testing.T) {
		for _, file := range []string{
			`{"_links":{},"_embedded":{"items":[{"sku":"A"}]}}`,
			`{"took":3,"hits":{"total":{"value":1},"hits":[{"sku":"A"}]}}`,
			`{"items":[],"products":[{"sku":"A"}]}`,
		} {
			expectRows(t, read(t, productfile.Format{}, file), `1 {"sku":"A"}`)
		}
		expectRows(t, read(t, productfile.Format{}, `{"products":[],"count":0}`))
		rows := read(t, productfile.Format{}, `[{"id":7,"sku":"A","name":"x","status":1}]`)
		if len(rows) != 1 || !strings.HasSuffix(rows[0], "status; to leave them out, or assign them to fields, give -map 'name=name,sku=sku'") {
			t.Errorf("rows %q; want the flag that leaves out the member", rows)
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
