package productfile_test

import (
	"strings"
	"testing"

	"catalog"
	"catalog/internal/productfile"
)

func TestReadCSV_cells(t *testing.T) {
	t.Run("the delimiter separates cells, and commas are then text", func(t *testing.T) {
		f := plain
		f.Delimiter = ';'
		expectRows(t, read(t, f, "sku;name\nA;Chair, oak\n"), `2 {"name":"Chair, oak","sku":"A"}`)
		f.Delimiter = '\t'
		expectRows(t, read(t, f, "sku\tname\nA\tChair; oak\n"), `2 {"name":"Chair; oak","sku":"A"}`)
	})
	t.Run("runs of spaces and line breaks in a cell become one space", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,name\n A ,\"Bar \n\n  table \"\n"), `2 {"name":"Bar table","sku":"A"}`)
	})
	t.Run("a description keeps its line breaks", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,description\nA,\" Oak,  solid.\r\n\r\n Oiled. \n\"\n"),
			`2 {"description":"Oak, solid.\n\nOiled.","sku":"A"}`)
	})
	t.Run("the line of a row is the one on which it begins", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,name\nA,\"Bar\ntable\"\nB,Stool\n"),
			`2 {"name":"Bar table","sku":"A"}`, `4 {"name":"Stool","sku":"B"}`)
	})
	t.Run("an empty cell clears the field", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,category,description,tags,attributes.width,brand,gtin\nA, ,,,,,\n"),
			`2 {"attributes":{"width":null},"brand":null,"category":null,"description":null,"gtin":null,"sku":"A","tags":[]}`)
	})
	t.Run("an empty id leaves the product to its SKU", func(t *testing.T) {
		expectRows(t, read(t, plain, "id,sku\n,A\n"), `2 {"sku":"A"}`)
	})
	t.Run("an empty cell of a required field keeps it", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,name,price,brand\nA,,,\n"), `2 {"brand":null,"sku":"A"}`)
	})
	t.Run("-empty keep keeps all fields, and those of a field have precedence", func(t *testing.T) {
		f := plain
		f.Empty = productfile.Policies{All: "keep", Fields: map[string]string{"description": "clear"}}
		expectRows(t, read(t, f, "sku,name,brand,tags,description,attributes.w\nA,,,,,\n"), `2 {"description":null,"sku":"A"}`)
	})
	t.Run("tags are separated by | and neither empty nor repeated", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,tags\nA,oak| new |oak||two  words\n"), `2 {"sku":"A","tags":["oak","new","two words"]}`)
	})
	t.Run("a cell that is not UTF-8 is refused with its column and a remedy", func(t *testing.T) {
		f := plain
		f.Encoding = "utf-8"
		rows := read(t, f, "sku,name\nA,Stuhl f\xFCr\nB,Stool\n")
		if len(rows) != 2 || !strings.HasPrefix(rows[0], "2 ! column name is not UTF-8; give the encoding of the file: -encoding windows-1252") || rows[1] != `3 {"name":"Stool","sku":"B"}` {
			t.Errorf("rows %q; want the remedy and the second row", rows)
		}
	})
	t.Run("a column that is not mapped may be anything", func(t *testing.T) {
		f := plain
		f.Encoding = "utf-8"
		expectRows(t, read(t, f, "sku,note\nA,f\xFCr\n"), `2 {"sku":"A"}`)
	})
	t.Run("a row with more columns is refused, and the next one is read", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,name\nA,Chair,oak\nC,Stool\n"),
			`2 ! has 3 columns, and the header has 2; check -delimiter ",", and that cells with a delimiter are in quotes`, `3 {"name":"Stool","sku":"C"}`)
	})
	t.Run("cells that a row lacks at its end are empty", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,name,price,brand\r\nA,Chair\r\nB\r\nC,,5\r\n# end\r\n"),
			`2 {"brand":null,"name":"Chair","sku":"A"}`, `3 {"brand":null,"sku":"B"}`, `4 {"brand":null,"price":{"amount":"5"},"sku":"C"}`, "5 - comments")
		// The delimiter is recognised by the header, although most rows have a comma, too.
		rows := read(t, productfile.Format{}, "sku;price;brand;tags;gtin\nA;1,50\nB;2,50;x\nC;3,50\nD;4,50;;new;4006381333931\nE;5,50\n")
		if len(rows) != 5 || rows[4] != `6 {"brand":null,"gtin":null,"price":{"amount":"5.5"},"sku":"E","tags":[]}` {
			t.Errorf("rows %q; want five prices", rows)
		}
	})
	t.Run("a row that lacks cells and its line end may be cut off", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,name,price\nA,Chair,5\nB,Sto"), `2 {"name":"Chair","price":{"amount":"5"},"sku":"A"}`, "3 ! has 2 of 3 columns, and its line does not end: the file may be cut off")
	})
	t.Run("lines of a cell whose quotes do not end are no rows", func(t *testing.T) {
		rows := read(t, plain, "sku,name,brand\nA,\"Lamp\nB\nC,Cup\nD,Desk,x\n")
		if len(rows) != 4 || rows[1] != `3 ! has 1 of 3 columns; check -delimiter ","` || rows[2] != `4 ! has 2 of 3 columns; check -delimiter ","` || rows[3] != `5 {"brand":"x","name":"Desk","sku":"D"}` {
			t.Errorf("rows %q; want B and C refused, which may be text of a cell", rows)
		}
	})
	t.Run("a row with another delimiter than the header is refused", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,name\nA;Chair\nB,Stool\n"), `2 ! has 1 of 2 columns; check -delimiter ","`, `3 {"name":"Stool","sku":"B"}`)
	})
	t.Run("a quote inside a cell is text", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,name,brand\nA,Stool 17\" high,x\nB,\"24\" monitor\",y\nC,\"24\"\" \"\"x\"\"\" ,z\n"),
			`2 {"brand":"x","name":"Stool 17\" high","sku":"A"}`, `3 {"brand":"y","name":"24\" monitor","sku":"B"}`, `4 {"brand":"z","name":"24\" \"x\"","sku":"C"}`)
		expectRows(t, read(t, plain, "sku,name,brand\nA,\"say \\\"hi\\\"\",x\nB,\"C:\\path\\\",y\n"), `2 {"brand":"x","name":"say \"hi\"","sku":"A"}`, `3 {"brand":"y","name":"C:\\path\\","sku":"B"}`)
		// Quotes that are not doubled at the end of the cell, and quotes escaped as
		// MySQL and PHP do.
		expectRows(t, read(t, plain, "sku,name,brand\nA,\"Monitor 24\"\",x\nB,\"a \\\"b\\\" c\",y\nC,\"d\\\",z\n"),
			`2 {"brand":"x","name":"Monitor 24\"","sku":"A"}`, `3 {"brand":"y","name":"a \"b\" c","sku":"B"}`, `4 {"brand":"z","name":"d\\","sku":"C"}`)
	})
	t.Run("a row whose quotes do not match is refused, and the next one is read", func(t *testing.T) {
		for _, broken := range []string{`B,"Stool`, `B,"Stool,5`, `"B,Stool`} {
			rows := read(t, plain, "sku,name\nA,Chair\n"+broken+"\nC,\"Table\"\nD,\"Bed,\n wide\"\n")
			if len(rows) != 4 || !strings.HasPrefix(rows[1], "3 ! a quoted cell does not end") || rows[2] != `4 {"name":"Table","sku":"C"}` || rows[3] != `5 {"name":"Bed, wide","sku":"D"}` {
				t.Errorf("%s: rows %q; want an error in line 3 and the rows behind", broken, rows)
			}
		}
	})
	t.Run("delimiters at the end of a row are no columns", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,name\nA,Chair,,\n"), `2 {"name":"Chair","sku":"A"}`)
	})
	t.Run("blank rows are skipped", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,name\n\nA,Chair\n , \n,,,\n"), "2 - blank rows", `3 {"name":"Chair","sku":"A"}`, "4 - blank rows", "5 - blank rows")
	})
	t.Run("an empty file is refused", func(t *testing.T) {
		_, err := tryRead(plain, "")
		expectError(t, err, "the file is empty")
	})
}

func TestReadCSV_prices(t *testing.T) {
	price := func(decimal, currency, header, cells string) string {
		t.Helper()
		f := productfile.Format{Kind: productfile.CSV, Delimiter: ';', Decimal: decimal, Currency: currency}
		rows := read(t, f, "sku;"+header+"\nA;"+cells+"\n")
		return strings.Join(rows, " ")
	}
	for _, tt := range []struct{ rule, decimal, currency, header, cells, want string }{
		{"the point is the decimal separator", ".", "", "price;currency", "12.34;EUR", `2 {"price":{"amount":"12.34","currency":"EUR"},"sku":"A"}`},
		{"-decimal , makes the comma the decimal separator", ",", "", "price;currency", "12,34;EUR", `2 {"price":{"amount":"12.34","currency":"EUR"},"sku":"A"}`},
		{"trailing zeros do not count as digits", ".", "", "price;currency", "265.000;EUR", `2 {"price":{"amount":"265","currency":"EUR"},"sku":"A"}`},
		{"zeros before the point are kept", ".", "", "price;currency", "200;EUR", `2 {"price":{"amount":"200","currency":"EUR"},"sku":"A"}`},
		{"-currency applies when there is no column", ".", "SAR", "price", "5", `2 {"price":{"amount":"5","currency":"SAR"},"sku":"A"}`},
		{"-currency applies when the cell is empty", ".", "SAR", "price;currency", "5;", `2 {"price":{"amount":"5","currency":"SAR"},"sku":"A"}`},
		{"the cell takes precedence over -currency", ".", "SAR", "price;currency", "5; EUR ", `2 {"price":{"amount":"5","currency":"EUR"},"sku":"A"}`},
		{"a price without currency leaves the currency unchanged", ".", "", "price", "5", `2 {"price":{"amount":"5"},"sku":"A"}`},
		{"-currency changes nothing in a file without prices", ".", "SAR", "name", "Chair", `2 {"name":"Chair","sku":"A"}`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := price(tt.decimal, tt.currency, tt.header, tt.cells); got != tt.want {
				t.Errorf("%s = %s; want %s", tt.cells, got, tt.want)
			}
		})
	}
	t.Run("an empty price keeps the price", func(t *testing.T) {
		if got := price(".", "EUR", "price", ""); got != `2 {"sku":"A"}` {
			t.Errorf("an empty price = %s; want none", got)
		}
	})
	t.Run("digits beyond those of the currency are refused", func(t *testing.T) {
		if got := price(".", "", "price;currency", "12.345;EUR"); !strings.HasPrefix(got, `2 ! column price: price "12.345" has more digits`) {
			t.Errorf("12.345 EUR = %s; want an error", got)
		}
	})
}

func TestReadCSV_columns(t *testing.T) {
	t.Run("columns named like a field, in any case and with blanks, are read, and others ignored", func(t *testing.T) {
		expectRows(t, read(t, plain, " sku ,N AME,note,Attributes.width,attributes.\nA,Chair,x,45,y\n"), `2 {"attributes":{"width":"45"},"name":"Chair","sku":"A"}`)
	})
	t.Run("every field has a column", func(t *testing.T) {
		for i := range catalog.Fields {
			f := &catalog.Fields[i]
			header, cell := f.Name, f.Example
			switch f.Kind {
			case catalog.KindMoney:
				cell, _, _ = strings.Cut(f.Example, " ")
				cell = strings.TrimRight(cell, "0")
			case catalog.KindMap:
				var key string
				key, cell, _ = strings.Cut(f.Example, "=")
				header += "." + key
			}
			rows := read(t, plain, "id,"+header+"\n01920000-0000-7000-8000-000000000001,"+`"`+cell+`"`+"\n")
			if len(rows) != 1 || !strings.Contains(rows[0], `"`+f.Name+`":`) || !strings.Contains(rows[0], cell) {
				t.Errorf("column %s: rows %q; want the cell %q", header, rows, cell)
			}
		}
	})
	t.Run("-map assigns columns, and others are ignored", func(t *testing.T) {
		f := plain
		var err error
		if f.Mapping.Columns, err = productfile.ParseMap(`sku=item no, name = "title, ""long""" ,attributes.width=w`); err != nil {
			t.Fatal(err)
		}
		expectRows(t, read(t, f, "item no,name,\"title, \"\"long\"\"\",w\nA,x,Chair,45\n"), `2 {"attributes":{"width":"45"},"name":"Chair","sku":"A"}`)
	})
	for _, tt := range []struct{ rule, mapping, header, want string }{
		{"a file needs an sku or an id", "", "name,price", "no column is mapped to sku or id"},
		{"-map needs an sku or an id", "name=title", "sku,title", "no column is mapped to sku or id"},
		{"-map accepts only fields", "sku=a,colour=b", "a,b", `-map: "colour" is not a field; the fields are id, sku`},
		{"-map refuses an attribute without a name", "sku=a,attributes.=b", "a,b", `"attributes." is not a field`},
		{"-map needs pairs", "sku", "sku", `-map: "sku" is not field=column`},
		{"-map has the field first", "number=sku", "number", "-map: the field stands before its column: sku=number"},
		{"-map has commas", "sku=a;name=b", "a,b", "put commas between the columns"},
		{"-map needs closing quotes", `sku="a`, "a", "has no closing quote"},
		{"-map needs columns that exist", "sku=number", "a,b", `there is no column "number" for sku; the columns are: a, b`},
		{"a field has one column", "", "sku,name,NAME", "name has more than one column; name one of them in -map"},
		{"a column that is read appears once", "", "sku,name,name", `"name" is the name of several columns; rename one of them in the file`},
		{"a column of -map appears once", "sku=no,name=title", "no,title,title", `"title" is the name of several columns`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			f := plain
			var err error
			if f.Mapping.Columns, err = productfile.ParseMap(tt.mapping); err == nil {
				_, err = tryRead(f, tt.header+"\n")
			}
			expectError(t, err, tt.want)
		})
	}
}
