package productfile_test

import (
	"fmt"
	"strings"
	"testing"

	"catalog/internal/productfile"
)

// presetFiles are files of the shape that each system writes, and the rows that are read from them.
var presetFiles = map[string][]presetFile{
	"shopify": {{"EUR", `Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Price,Variant Barcode,Image Src,Status
wool-hat,Wool hat,"<p>Merino</p>",Knit & Co,Apparel & Accessories > Clothing Accessories > Hats,Hats,"winter, new",true,Size,S,Colour,Grey,WH-S,19.90,'4006381333931,https://shop.example/1.jpg,active
wool-hat,,,,,,,,,L,,Grey,WH-L,21.90,365275101829,https://shop.example/2.jpg,
wool-hat,,,,,,,,,,,,,,,https://shop.example/3.jpg,
gift-card,Gift card,,Knit & Co,,Cards,,true,Title,Default Title,,,,25.00,,,active
old-hat,Old hat,,,,,,,Size,S,,,,5.00,,,archived
old-hat,,,,,,,,,L,,,,5.00,,,
`, []string{
		`2 ('4006381333931 has the apostrophe of a spreadsheet, and "4006381333931" was taken) {"attributes":{"Colour":"Grey","Size":"S"},"brand":"Knit & Co","category":"Apparel & Accessories/Clothing Accessories/Hats","description":"<p>Merino</p>","gtin":"4006381333931","name":"Wool hat","price":{"amount":"19.9","currency":"EUR"},"sku":"WH-S","tags":["Hats","winter","new"]}`,
		`3 (gtin "365275101829" was left out: it is not a valid GTIN) {"attributes":{"Colour":"Grey","Size":"L"},"brand":"Knit & Co","category":"Apparel & Accessories/Clothing Accessories/Hats","description":"<p>Merino</p>","name":"Wool hat","price":{"amount":"21.9","currency":"EUR"},"sku":"WH-L","tags":["Hats","winter","new"]}`,
		"4 - rows of images",
		`5 {"brand":"Knit & Co","category":null,"description":null,"gtin":null,"name":"Gift card","price":{"amount":"25","currency":"EUR"},"sku":"gift-card","tags":["Cards"]}`,
		"6 - rows of drafts and archived products", "7 - rows of drafts and archived products",
	}}, {"USD", `Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,Barcode,Option1 name,Option1 value,Option1 Linked To,Option2 name,Option2 value,Option2 Linked To,Price,Compare-at price,Product image URL
Linen top,linen-top,,Acme,Apparel & Accessories > Clothing,Tops,,TRUE,Active,,,Size,Small,,Colour,Sky blue,,60.00,80.00,https://shop.example/4.jpg
,linen-top,,,,,,,,,,,Large,,,Sky blue,,64.00,,
`, []string{ // variants without an SKU are products, too
		`2 {"attributes":{"Colour":"Sky blue","Size":"Small"},"brand":"Acme","category":"Apparel & Accessories/Clothing","description":null,"gtin":null,"name":"Linen top","price":{"amount":"60","currency":"USD"},"sku":"linen-top-Small-Sky blue","tags":["Tops"]}`,
		`3 {"attributes":{"Colour":"Sky blue","Size":"Large"},"brand":"Acme","category":"Apparel & Accessories/Clothing","description":null,"gtin":null,"name":"Linen top","price":{"amount":"64","currency":"USD"},"sku":"linen-top-Large-Sky blue","tags":["Tops"]}`,
	}}, {"USD", `{"products":[{"id":632910392,"title":"Player","body_html":"<p>Small</p>","vendor":"Acme","product_type":"Audio","handle":"player","tags":"new, mp3","status":"active",
"variants":[{"id":1,"title":"Pink","price":"199.00","sku":"P-PINK","barcode":"4006381333931","option1":"Pink"},{"id":2,"title":"Red","price":"189.00","sku":"","barcode":null,"option1":"Red"}],
"options":[{"name":"Colour","values":["Pink","Red"]}],"images":[]},
{"title":"Gift card","handle":"gift-card","tags":[],"variants":[{"price":"25.00","option1":"Default Title"}],"options":[{"name":"Title"}]},{"title":"Draft","status":"draft","variants":[{"sku":"D"}]}]}`, []string{
		`1 {"attributes":{"Colour":"Pink"},"brand":"Acme","description":"<p>Small</p>","gtin":"4006381333931","name":"Player","price":{"amount":"199","currency":"USD"},"sku":"P-PINK","tags":["Audio","new","mp3"]}`,
		`1 {"attributes":{"Colour":"Red"},"brand":"Acme","description":"<p>Small</p>","gtin":null,"name":"Player","price":{"amount":"189","currency":"USD"},"sku":"player-Red","tags":["Audio","new","mp3"]}`,
		`4 {"name":"Gift card","price":{"amount":"25","currency":"USD"},"sku":"gift-card","tags":[]}`,
		"4 - rows of drafts and archived products",
	}}},
	"google": {{"", "id\ttitle\tdescription\tlink\tprice\tbrand\tgtin\tproduct_type\tcolor\titem group id\n" + // names with blanks are the same
		"G1\tDesk &amp; lamp\tOak\thttps://shop.example/g1\t1,299.00 USD\tLumo\t4006381333931\tHome, Garden > Desks & More\tred\tGR-1\n" +
		"G2\tAtlas\t\t\t15.00 USD\t\t\t\"Books > Maps > Atlases,Gifts > Travel\"\t\t\n", []string{
		`2 {"attributes":{"color":"red","item_group_id":"GR-1","link":"https://shop.example/g1"},"brand":"Lumo","category":"Home, Garden/Desks & More","description":"Oak","gtin":"4006381333931","name":"Desk & lamp","price":{"amount":"1299","currency":"USD"},"sku":"G1"}`,
		`3 (category "Gifts/Travel" was left out: a product has one category, the first) {"attributes":{"color":null,"item_group_id":null,"link":null},"brand":null,"category":"Books/Maps/Atlases","description":null,"gtin":null,"name":"Atlas","price":{"amount":"15","currency":"USD"},"sku":"G2"}`,
	}}},
	"woocommerce": {{"EUR", `ID,Type,SKU,"GTIN, UPC, EAN, or ISBN",Name,Published,"Is featured?","Short description",Description,"Sale price","Regular price",Categories,Tags,Images,Parent,"Attribute 1 name","Attribute 1 value(s)","Attribute 1 visible","Attribute 1 global"
44,variable,woo-hoodie,,Hoodie,1,0,,Warm,,,"Clothing > Hoodies, Clothing > New","a, b",,,Size,"S, L",1,1
45,variation,woo-hoodie-s,978-3-16-148410-0,Hoodie - S,1,0,,,40,45,,,,woo-hoodie,Size,S,,1
46,simple,woo-dvd,,Film,1,0,Short,"<p>Two\nlines</p>",,"9,5","Film\, Series > Drama, New",,,,Region,"1, 2\, and 3",1,0
47,"variable, virtual",woo-song,,Song,1,0,,,,,Music,,,,,,,
48,simple,woo-draft,,Draft,-1,0,,,,1,,,,,,,,
49,"simple, downloadable, virtual",'+1-album,,'-40 °C,1,0,,,,15,Music,,,,,,,
50,variable,,,Mug,0,0,,,,,Kitchen,,,,,,,
51,variation,woo-hoodie-l,,Hoodie - L,1,0,,Warm and large,,48,,,,woo-hoodie,Size,L,,1
52,variation,woo-mug-blue,,Mug - blue,1,0,,,,9,,,,id:50,,,,
53,variation,woo-cap-blue,,Cap - blue,1,0,,,,7,,,,woo-cap,,,,
54,simple,woo-book,,Book,1,0,,,,7,"Books > ""Poems, tales"", New","""a, b"", 24"" wide",,,Publisher,"""Lenos, Basel"", x",,
`, []string{
		"2 - rows of variable and grouped products",
		`3 (category "Clothing/New" was left out: a product has one category, the first) {"attributes":{"Size":"S"},"category":"Clothing/Hoodies","description":"Warm","gtin":"9783161484100","name":"Hoodie - S","price":{"amount":"45","currency":"EUR"},"sku":"woo-hoodie-s","tags":["a","b"]}`,
		`4 (category "New" was left out: a product has one category, the first) {"attributes":{"Region":"1, 2, and 3"},"category":"Film, Series/Drama","description":"<p>Two\nlines</p>","gtin":null,"name":"Film","price":{"amount":"9.5","currency":"EUR"},"sku":"woo-dvd","tags":[]}`,
		"5 - rows of variable and grouped products",
		"6 - rows of products that are not published",
		`7 {"category":"Music","description":null,"gtin":null,"name":"-40 °C","price":{"amount":"15","currency":"EUR"},"sku":"+1-album","tags":[]}`,
		"8 - rows of variable and grouped products",
		`9 (category "Clothing/New" was left out: a product has one category, the first) {"attributes":{"Size":"L"},"category":"Clothing/Hoodies","description":"Warm and large","gtin":null,"name":"Hoodie - L","price":{"amount":"48","currency":"EUR"},"sku":"woo-hoodie-l","tags":["a","b"]}`,
		"10 - rows of products that are not published", // its parent is not published either
		`11 (Parent "woo-cap" is not in the rows above, so nothing was taken from it) {"category":null,"description":null,"gtin":null,"name":"Cap - blue","price":{"amount":"7","currency":"EUR"},"sku":"woo-cap-blue","tags":[]}`,
		`12 (category "New" was left out: a product has one category, the first) {"attributes":{"Publisher":"Lenos, Basel, x"},"category":"Books/Poems, tales","description":null,"gtin":null,"name":"Book","price":{"amount":"7","currency":"EUR"},"sku":"woo-book","tags":["a, b","24\" wide"]}`,
	}}},
	"magento": {{"USD", `sku,store_view_code,attribute_set_code,product_type,categories,product_websites,name,description,product_online,price,additional_attributes
24-MB01,,Default,simple,"Default Category/Gear,Default Category/Gear/Bags",base,Duffle Bag,"<p>Holds all</p>",1,34.000000,"activity=Gym|Hiking,has_options=0,note=Light, strong, dry,required_options=0"
24-MB01,german,Default,simple,,,Sporttasche,,,34.000000,
MH01,,Default,configurable,Default Category/Men,base,Hoodie,,1,,
24-MB02,,Default,simple,Default Category/Gear,base,Old bag,,2,10.000000,
24-MB03,,Default,simple,Default Category/Gear,base,No price,,1,,
`, []string{
		`2 {"attributes":{"activity":"Gym|Hiking","note":"Light, strong, dry"},"category":"Gear/Bags","description":"<p>Holds all</p>","name":"Duffle Bag","price":{"amount":"34","currency":"USD"},"sku":"24-MB01"}`,
		"3 - rows of other store views",
		"4 - rows of configurable products",
		"5 - rows of products that are off",
		"6 - rows without a price",
	}}},
	"prestashop": {{"EUR", `Product ID;Active (0/1);Name *;Categories (x,y,z...);Price tax excluded;Reference #;Manufacturer;EAN13;UPC;Summary;Description;Tags (x,y,z...);Feature(Name:Value:Position)
1;1;Notebook;Music,Players;100.50;PS-1;Acme;1234567890123;;;"<p>Paper</p>";apple, ipod;Colour:Red:1,Format:A4:2,Colour:Blue:3
2;1;Pen;Office;1.5;;Acme;;012345678905;Blue ink;;;
3;0;Old pen;Office;1.5;;Acme;;;;;;
`, []string{
		`2 (gtin "1234567890123" was left out: it is not a valid GTIN) (category "Players" was left out: a product has one category, the first) {"attributes":{"Colour":"Red, Blue","Format":"A4"},"brand":"Acme","category":"Music","description":"<p>Paper</p>","name":"Notebook","price":{"amount":"100.5","currency":"EUR"},"sku":"PS-1","tags":["apple","ipod"]}`,
		`3 {"brand":"Acme","category":"Office","description":"Blue ink","gtin":"012345678905","name":"Pen","price":{"amount":"1.5","currency":"EUR"},"sku":"2","tags":[]}`,
		"4 - rows of products that are not active",
	}}, {"EUR", `"Product ID";Image;Name;Reference;Category;"Price (tax excl.)";"Price (tax incl.)";Quantity;Status;Position
9;http://shop.example/9.jpg;"Wall clock";demo_9;Home;"23,90 €";"28,68 €";300;1;1
10;;"Old clock";demo_10;Home;"9,00 €";"10,80 €";0;0;2
`, []string{
		`2 {"category":"Home","name":"Wall clock","price":{"amount":"23.9","currency":"EUR"},"sku":"demo_9"}`,
		"3 - rows of products that are not active",
	}}},
	"bigbasket": {{"", `index,product,category,sub_category,brand,sale_price,market_price,type,rating,description
7,Garlic Oil,Beauty & Hygiene,Hair Care,Sri Sri,220,220,Hair Oil & Serum,4.1,"This Product contains ""oil"""
`, []string{
		`2 {"attributes":{"market_price":"220","rating":"4.1","type":"Hair Oil & Serum"},"brand":"Sri Sri","category":"Beauty & Hygiene/Hair Care","description":"This Product contains \"oil\"","name":"Garlic Oil","price":{"amount":"220","currency":"INR"},"sku":"7"}`,
	}}},
}

// presetFile is a file, the currency to give with it, and the rows that are read from it.
type presetFile struct {
	currency, file string
	want           []string
}

func TestPreset(t *testing.T) {
	t.Parallel()
	for _, name := range productfile.Presets() {
		t.Run(name, func(t *testing.T) {
			if len(presetFiles[name]) == 0 {
				t.Fatal("the preset has no file in this test")
			}
			m, err := productfile.Preset(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, tt := range presetFiles[name] {
				expectRows(t, read(t, productfile.Format{Mapping: m, Currency: tt.currency}, tt.file), tt.want...)
			}
		})
	}
}

func TestPreset_parents(t *testing.T) {
	t.Parallel()
	m, err := productfile.Preset("woocommerce")
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	file.WriteString("Type,SKU,Name,Regular price,Parent,Categories,Description\n")
	const parents = 1000
	for i := range parents {
		fmt.Fprintf(&file, "variable,P%d,Hat,,,Hats,%s\n", i, strings.Repeat("x", 2000))
	}
	fmt.Fprintf(&file, "variation,A,Hat,5,P0,,\nvariation,B,Hat,5,P%d,,\n", parents-1)
	rows := read(t, productfile.Format{Mapping: m, Currency: "EUR"}, file.String())
	if first := rows[parents]; !strings.Contains(first, "is not in the rows above") || !strings.Contains(first, `"category":null`) {
		t.Errorf("the variation of a parent far above is %.300s; want no category: a reader keeps few parents", first)
	}
	if last := rows[parents+1]; !strings.Contains(last, `"category":"Hats"`) {
		t.Errorf("the variation of a parent close above is %.300s; want its category", last)
	}
}
