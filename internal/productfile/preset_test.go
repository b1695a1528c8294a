package productfile_test

import (
	"testing"

	"catalog/internal/productfile"
)

// presetFiles are files of the shape that each system writes, and the rows that they give.
var presetFiles = map[string]struct {
	currency, file string
	want           []string
}{
	"shopify": {"EUR", `Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Price,Variant Barcode,Image Src
wool-hat,Wool hat,"<p>Merino</p>",Knit & Co,Apparel & Accessories > Clothing Accessories > Hats,Hats,"winter, new",true,Size,S,Colour,Grey,WH-S,19.90,,https://shop.example/1.jpg
wool-hat,,,,,,,,,L,,Grey,WH-L,21.90,,https://shop.example/2.jpg
wool-hat,,,,,,,,,,,,,,,https://shop.example/3.jpg
gift-card,Gift card,,Knit & Co,,Cards,,true,Title,Default Title,,,,25.00,,
`, []string{
		`2 {"attributes":{"Colour":"Grey","Size":"S"},"brand":"Knit & Co","category":"Apparel & Accessories/Clothing Accessories/Hats","description":"<p>Merino</p>","gtin":null,"name":"Wool hat","price":{"amount":"19.9","currency":"EUR"},"sku":"WH-S","tags":["Hats","winter","new"]}`,
		`3 {"attributes":{"Colour":"Grey","Size":"L"},"brand":"Knit & Co","category":"Apparel & Accessories/Clothing Accessories/Hats","description":"<p>Merino</p>","gtin":null,"name":"Wool hat","price":{"amount":"21.9","currency":"EUR"},"sku":"WH-L","tags":["Hats","winter","new"]}`,
		"4 - rows of images",
		`5 {"attributes":{"Title":"Default Title"},"brand":"Knit & Co","category":null,"description":null,"gtin":null,"name":"Gift card","price":{"amount":"25","currency":"EUR"},"sku":"gift-card","tags":["Cards"]}`,
	}},
	"google": {"", "id\ttitle\tdescription\tlink\tprice\tbrand\tgtin\tproduct_type\tcolor\titem_group_id\n" +
		"G1\tDesk &amp; lamp\tOak\thttps://shop.example/g1\t1,299.00 USD\tLumo\t4006381333931\tHome, Garden > Desks & More\tred\tGR-1\n", []string{
		`2 {"attributes":{"color":"red","item_group_id":"GR-1","link":"https://shop.example/g1"},"brand":"Lumo","category":"Home, Garden/Desks & More","description":"Oak","gtin":"4006381333931","name":"Desk & lamp","price":{"amount":"1299","currency":"USD"},"sku":"G1"}`,
	}},
	"woocommerce": {"EUR", `ID,Type,SKU,"GTIN, UPC, EAN, or ISBN",Name,Published,Short description,Description,Regular price,Categories,Tags,Images,Parent,Attribute 1 name,Attribute 1 value(s)
44,variable,woo-hoodie,,Hoodie,1,,Warm,,"Clothing > Hoodies, Clothing > New","a, b",,,Size,"S, L"
45,variation,woo-hoodie-s,,Hoodie - S,1,,,45,,,,woo-hoodie,Size,S
46,simple,woo-dvd,,Film,1,Short,,9.5,"Film\, Series > Drama, New",,,,,
`, []string{
		"2 - rows of variable and grouped products",
		`3 {"attributes":{"Size":"S"},"category":null,"description":null,"gtin":null,"name":"Hoodie - S","price":{"amount":"45","currency":"EUR"},"sku":"woo-hoodie-s","tags":[]}`,
		`4 (category "New" was left out: a product has one category, the first) {"category":"Film, Series/Drama","description":"Short","gtin":null,"name":"Film","price":{"amount":"9.5","currency":"EUR"},"sku":"woo-dvd","tags":[]}`,
	}},
	"magento": {"USD", `sku,store_view_code,product_type,categories,name,description,price,additional_attributes
24-MB01,,simple,"Default Category/Gear,Default Category/Gear/Bags",Duffle Bag,"<p>Holds all</p>",34.000000,"activity=Gym,erin_recommends=No"
24-MB01,german,,,Sporttasche,,,
MH01,,configurable,Default Category/Men,Hoodie,,,
`, []string{
		`2 {"attributes":{"activity":"Gym","erin_recommends":"No"},"category":"Gear/Bags","description":"<p>Holds all</p>","name":"Duffle Bag","price":{"amount":"34","currency":"USD"},"sku":"24-MB01"}`,
		"3 - rows without a price",
		"4 - rows of configurable products",
	}},
	"prestashop": {"EUR", `Product ID;Active (0/1);Name *;Categories (x,y,z...);Price tax excluded or Price tax included;Reference #;Manufacturer;EAN13;Description;Tags (x,y,z...)
1;1;Notebook;Music,Players;100.50;PS-1;Acme;;"<p>Paper</p>";apple, ipod
2;1;Pen;Office;1.5;;Acme;;;
`, []string{
		`2 (category "Players" was left out: a product has one category, the first) {"brand":"Acme","category":"Music","description":"<p>Paper</p>","gtin":null,"name":"Notebook","price":{"amount":"100.5","currency":"EUR"},"sku":"PS-1","tags":["apple","ipod"]}`,
		`3 {"brand":"Acme","category":"Office","description":null,"gtin":null,"name":"Pen","price":{"amount":"1.5","currency":"EUR"},"sku":"2","tags":[]}`,
	}},
	"bigbasket": {"", `index,product,category,sub_category,brand,sale_price,market_price,type,rating,description
7,Garlic Oil,Beauty & Hygiene,Hair Care,Sri Sri,220,220,Hair Oil & Serum,4.1,"This Product contains ""oil"""
`, []string{
		`2 {"attributes":{"market_price":"220","rating":"4.1","type":"Hair Oil & Serum"},"brand":"Sri Sri","category":"Beauty & Hygiene/Hair Care","description":"This Product contains \"oil\"","name":"Garlic Oil","price":{"amount":"220","currency":"INR"},"sku":"7"}`,
	}},
}

func TestPreset(t *testing.T) {
	t.Parallel()
	for _, name := range productfile.Presets() {
		t.Run(name, func(t *testing.T) {
			tt, ok := presetFiles[name]
			if !ok {
				t.Fatal("the preset has no file in this test")
			}
			m, err := productfile.Preset(name)
			if err != nil {
				t.Fatal(err)
			}
			expectRows(t, read(t, productfile.Format{Mapping: m, Currency: tt.currency}, tt.file), tt.want...)
		})
	}
}
