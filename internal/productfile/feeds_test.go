package productfile_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	unicodes "unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"catalog/internal/productfile"
)

func TestPrices(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ cell, decimal, currency, want string }{
		// Separators of thousands.
		{"1,234.56", "", "", "1234.56"}, {"1.234,56", "", "", "1234.56"}, {"1 234,56", "", "", "1234.56"}, {"1\u00a0234,56", "", "", "1234.56"},
		{"1\u202f234,5", "", "", "1234.5"}, {"1'234.50", "", "", "1234.5"}, {"1’234.50", "", "", "1234.5"}, {"12,34,567.8", "", "", "1234567.8"},
		{"1.234.567", "", "", "1234567"}, {"1,234,567", "", "", "1234567"}, {"1 234", "", "", "1234"}, {"1,234", ".", "", "1234"}, {"1.234", ",", "", "1234"},
		{"9,9", "", "", "9.9"}, {"12.5", "", "", "12.5"}, {"0,125", "", "", "0.125"}, {"1234.500", "", "", "1234.5"}, {"12,-", "", "", "12"}, {"12.-", "", "", "12"},
		{"12,– €", "", "", "12 EUR"}, {".50", "", "", "0.5"}, {"１２．５", "", "", "12.5"}, {"١٬٢٣٤٫٥", "", "", "1234.5"},
		{"\u200f١٢٫٥\u00a0ر.س.\u200f", "", "", "12.5 SAR"}, {"\u200b9.99 €", "", "", "9.99 EUR"}, {"9,99 €*", "", "", "9.99 EUR"},
		{"8.264463", "", "EUR", "! has more digits after the decimal point than EUR, which has 2; round"}, {"1000.5", "", "JPY", "! has more digits after the decimal point than JPY, which has 0"},
		{"12.50 GBp", "", "", "! is in pence (GBp)"}, {"12.50 gbp", "", "", "12.5 GBP"},
		// Currencies.
		{"15.00 USD", "", "EUR", "15 USD"}, {"USD 15.00", "", "", "15 USD"}, {"$15.00", "", "", "15 USD"}, {"$15.00", "", "CAD", "15 CAD"}, {"$15.00", "", "EUR", "15 USD"},
		{"€ 19,99", "", "", "19.99 EUR"}, {"19,99€", "", "", "19.99 EUR"}, {"eur 5", "", "", "5 EUR"}, {"1.234,50 zł", "", "", "1234.5 PLN"}, {"US$ 1,299.00", "", "", "1299 USD"},
		{"Rs. 1,23,456.50", "", "", "123456.5 INR"}, {"CHF 12.-", "", "", "12 CHF"}, {"25 kr", "", "SEK", "25 SEK"}, {"$ 5 USD", "", "", "5 USD"}, {"¥500", "", "", "500 JPY"},
		{"5", "", "EUR", "5 EUR"}, {"US $12.99", "", "", "12.99 USD"}, {"USD $12", "", "CAD", "12 USD"}, {"12 euros", "", "", "12 EUR"}, {"12.50 د.إ.", "", "", "12.5 AED"}, {"+3", "", "", "3"},
		// An amount without cents, or a currency without a minor unit, decides the
		// separator.
		{"€1.299,-", "", "", "1299 EUR"}, {"1,299.- CHF", "", "", "1299 CHF"}, {"249:-", "", "SEK", "249 SEK"}, {"¥12,800", "", "", "12800 JPY"}, {"150.000₫", "", "", "150000 VND"}, {"12,800", "", "KRW", "12800 KRW"},
		// Indian notation of amounts without cents, digits of other scripts, and signs
		// of currencies.
		{"Rs 499/-", "", "", "499 INR"}, {"1,23,456/=", "", "INR", "123456 INR"}, {"१,२३४.५०", "", "", "1234.5"}, {"๑๒.๕", "", "", "12.5"}, {",50", "", "", "0.5"},
		{"S/ 25.00", "", "", "25 PEN"}, {"₡1.250,50", "", "", "1250.5 CRC"}, {"12.5 ₼", "", "", "12.5 AZN"}, {"₨ 120", "", "PKR", "120 PKR"}, {"12.50 د.ك", "", "", "12.5 KWD"},
		// Refused, with the reason.
		{"05.01.2026", "", "", "! is a date"}, {"1/5/2026", "", "", "! is a date"}, {"2026-01-05 00:00:00", "", "", "! is a date"}, {"5-Mar", "", "", "! is a date"},
		{"–", "", "", `! has no number; write 0 if the product is free, or give -nulls "–" if it has no price`}, {"ask us, please", "", "", "! has no number; write 0 if the product is free, and nothing if it has no price"},
		{"12%", "", "", "! is not a price"}, {"12.50 €/kg", "", "", "! is not a price"},
		{"1,234 €", "", "", `! can be 1.234`}, {"12.345 KWD", "", "", `! can be 12.345`}, {"1.234,00-", "", "", "! is negative"}, {"(12.00)", "", "", "! is negative"}, {"n/a", "", "", `! has no number; write 0 if the product is free, or give -nulls "n/a" if it has no price`},
		{"1,234", "", "", `! can be 1.234 (give -decimal ",") or 1234 (give -decimal ".")`}, {"1.234", "", "", `! can be 1.234 (give -decimal ".") or 1234 (give -decimal ",")`},
		{"-5.00", "", "", "! is negative"}, {"1.5E+3", "", "", "! was shortened by a spreadsheet"}, {"25 kr", "", "", "! has kr, which can be SEK, NOK, DKK, ISK"},
		{"from 5", "", "", "! is not a price"}, {"5 per kg", "", "", "! is not a price"}, {"5 - 7", "", "", "! is not a price"}, {"free", "", "", "! has no number"},
		{"5 EUR USD", "", "", "! has two currencies"}, {"€ 5 USD", "", "", "! has two currencies"}, {"1,23.4", "", "", "! has separators"}, {"12.34", ",", "", `! has "." before a group`},
		{"1.234,5", ".", "", "! has separators in an order"},
	} {
		f := productfile.Format{Kind: productfile.CSV, Delimiter: ';', Decimal: tt.decimal, Currency: tt.currency}
		rows := read(t, f, "id;price\n01920000-0000-7000-8000-000000000001;"+tt.cell+"\n")
		amount, currency, _ := strings.Cut(tt.want, " ")
		want := `"price":{"amount":"` + amount + `"`
		if currency != "" {
			want += `,"currency":"` + currency + `"`
		}
		if reason, refused := strings.CutPrefix(tt.want, "! "); refused {
			want = fmt.Sprintf("price %q %s", strings.Join(strings.Fields(tt.cell), " "), reason)
		}
		if len(rows) != 1 || !strings.Contains(rows[0], want) {
			t.Errorf("%q with -decimal %q -currency %q = %q; want %s", tt.cell, tt.decimal, tt.currency, rows, want)
		}
	}
	t.Run("the digits of all scripts have their values", func(t *testing.T) {
		n := 0
		for r := rune(0x80); r <= utf8.MaxRune; r++ {
			if !unicodes.IsDigit(r) {
				continue
			}
			n++
			next := string([]rune{r, r + 1})
			if !unicodes.IsDigit(r + 1) {
				next = "9" + string(r) // the last digit of a script
			}
			rows := read(t, productfile.Format{Kind: productfile.CSV}, "sku,price\nA,"+next+"\n")
			digits := strings.TrimSuffix(strings.TrimPrefix(rows[0], `2 {"price":{"amount":"`), `"},"sku":"A"}`)
			a, err := strconv.Atoi(digits)
			if err != nil || (a/10+1)%10 != a%10 && a != 99 {
				t.Errorf("%U and the next digit are read as %s", r, rows)
			}
		}
		if n < 500 {
			t.Errorf("%d digits were tried; want those of more than 50 scripts", n)
		}
	})
	t.Run("the currency of the cell and of the column must not differ", func(t *testing.T) {
		rows := read(t, plain, "sku,price,currency\nA,5 USD,EUR\nB,$5,CAD\nC,5,€\n")
		if !strings.Contains(rows[0], "has the currency USD, and the column for the currency has EUR") || !strings.Contains(rows[1], `"currency":"CAD"`) || !strings.Contains(rows[2], `"currency":"EUR"`) {
			t.Errorf("rows %q; want an error, CAD and EUR", rows)
		}
	})
}

// TestFiles reads one table in every form in which files come.
func TestFiles(t *testing.T) {
	t.Parallel()
	table := [][]string{{"sku", "name", "price"}, {"A-1", "Café “noir”, 24\" – x", "9,90 €"}, {"A-2", "Thé", "1.234,50 €"}}
	want := []string{`{"name":"Café “noir”, 24\" – x","price":{"amount":"9.9","currency":"EUR"},"sku":"A-1"}`, `{"name":"Thé","price":{"amount":"1234.5","currency":"EUR"},"sku":"A-2"}`}
	text := func(delimiter, end string) string {
		var lines []string
		for _, row := range table {
			var cells []string
			for _, c := range row {
				cells = append(cells, `"`+strings.ReplaceAll(c, `"`, `""`)+`"`)
			}
			lines = append(lines, strings.Join(cells, delimiter))
		}
		return strings.Join(lines, end) + end
	}
	encoded := func(e encoding.Encoding, s string) string {
		out, err := e.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	check := func(name, file string, f productfile.Format, about string) {
		t.Run(name, func(t *testing.T) {
			r, err := productfile.NewReader(strings.NewReader(file), f)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Recognised().String(); !strings.Contains(got, about) {
				t.Errorf("the form is %q; want %q", got, about)
			}
			var rows []string
			if err := r.Each(func(r productfile.Row) error {
				if r.Skipped == "" {
					rows = append(rows, strings.TrimLeft(show(r), "0123456789 "))
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			expectRows(t, rows, want...)
		})
	}
	for delimiter, name := range map[string]string{",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"} {
		for end, ends := range map[string]string{"\n": "lf", "\r\n": "crlf", "\r": "cr"} {
			check(name+" and "+ends, text(delimiter, end), productfile.Format{}, "delimiter "+name+", encoding utf-8, line ends "+ends)
		}
	}
	semicolons := text(";", "\r\n")
	utf16LE, utf16BE := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	check("UTF-8 with a byte-order mark", "\uFEFF"+semicolons, productfile.Format{}, "utf-8")
	check("UTF-16 little endian", encoded(utf16LE, "\uFEFF"+semicolons), productfile.Format{}, "utf-16le")
	check("UTF-16 big endian without a mark", encoded(utf16BE, semicolons), productfile.Format{}, "utf-16be")
	check("windows-1252", encoded(charmap.Windows1252, semicolons), productfile.Format{}, "windows-1252")
	check("MacRoman by flag", encoded(charmap.Macintosh, semicolons), productfile.Format{Encoding: "macroman"}, "macintosh")
	check("a flag against the mark of another encoding", encoded(charmap.Windows1252, semicolons), productfile.Format{Encoding: "cp1252"}, "windows-1252")
	check("the line of Excel with the delimiter", "sep=;\r\n"+semicolons, productfile.Format{}, "semicolon, encoding utf-8, line ends crlf, columns in line 2")
	check("titles above the header", "Price list;;\r\n\r\nvalid from May;;\r\n"+semicolons, productfile.Format{}, "columns in line 4")
	check("-header-row", "sku;name;price\r\nArticle;Text;EUR\r\n"+semicolons, productfile.Format{HeaderRow: 3}, "columns in line 3")
	check("no header", strings.SplitAfterN(semicolons, "\r\n", 2)[1], productfile.Format{Columns: []string{"sku", "name", "price"}}, "no header")
	check("JSON list, minified", "["+strings.Join(want, ",")+"]", productfile.Format{}, "JSON")
	check("JSON list, pretty-printed", strings.ReplaceAll("[\n  "+strings.Join(want, ",\n  ")+"\n]\n", `"price":{`, "\n  \"price\": {\n    "), productfile.Format{}, "JSON")
	check("objects on several lines", strings.ReplaceAll(strings.Join(want, "\n"), `,"price":{`, ",\n\"price\": {\n"), productfile.Format{}, "JSON")
	check("NDJSON", strings.Join(want, "\r\n"), productfile.Format{}, "JSON")
	check("NDJSON in UTF-16", encoded(utf16LE, "\uFEFF"+strings.Join(want, "\n")), productfile.Format{}, "utf-16le")

	check("UTF-8 with two marks", "\uFEFF\uFEFF"+semicolons, productfile.Format{}, "utf-8")
	check("a mark, CR and the line of Excel", "\uFEFFsep=|\r"+text("|", "\r"), productfile.Format{}, "vertical bar, encoding utf-8, line ends cr, columns in line 2")
	check("carets", text("^", "\n"), productfile.Format{}, "delimiter '^'")
	check("parts with a header each, a comment and the last byte of DOS", semicolons+"# part 2\r\nsku;name;price\r\n\x1A", productfile.Format{}, "semicolon")
	check("the last line of PostgreSQL", semicolons+"(2 rows)\r\n", productfile.Format{}, "semicolon")
	check("a JSON list in an object", `{"count": 2, "links": {"next": [{"a": 1}]}, "data": {"products": [`+strings.Join(want, ",")+`], "page": 1}}`, productfile.Format{}, "JSON")
	check("names of JSON members in other cases", strings.NewReplacer("sku", "SKU", "name", "Name").Replace(strings.Join(want, "\n")), productfile.Format{}, "JSON")

	t.Run("text of Western languages is windows-1252, and a euro of ISO 8859-15 a euro", func(t *testing.T) {
		for _, name := range []string{"Perché così e più caffè", "Où est l’œuvre “fine”", "Ñandú ¿qué?", "Smørrebrød på øl", "Coração de maçã", "Þorláksmessa íþrótt", "Größe 5 m² und 3 cm³"} {
			expectRows(t, read(t, productfile.Format{}, encoded(charmap.Windows1252, "sku,name\nA,"+name+"\n")), `2 {"name":"`+name+`","sku":"A"}`)
		}
		expectRows(t, read(t, productfile.Format{}, encoded(charmap.ISO8859_15, "sku;name;price\nA;Café;9,90 €\n")), `2 {"name":"Café","price":{"amount":"9.9","currency":"EUR"},"sku":"A"}`)
	})
	t.Run("a CR file with line feeds in cells has CR ends, and a LF file with CRs in cells LF ends", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,description\rA,\"a\nb\nc\nd\"\rB,x\r"), `2 {"description":"a\nb\nc\nd","sku":"A"}`, `3 {"description":"x","sku":"B"}`)
		expectRows(t, read(t, plain, "sku,description\nA,\"a\rb\rc\rd\"\n"), `2 {"description":"a\nb\nc\nd","sku":"A"}`)
	})
	t.Run("text that was encoded twice is refused with the remedy", func(t *testing.T) {
		twice, err := charmap.Windows1252.NewDecoder().String("sku,name\nA,Café crème, große Tasse €\n")
		if err != nil {
			t.Fatal(err)
		}
		_, err = tryRead(productfile.Format{}, twice)
		expectError(t, err, "the text was encoded twice", "-encoding utf-8")
	})
	t.Run("JSON that is not UTF-8, or has half of a surrogate pair or a member twice, is refused", func(t *testing.T) {
		for row, want := range map[string]string{"{\"sku\":\"A\",\"name\":\"\x81\"}": "not in windows-1252", "{\"sku\":\"A\",\"name\":\"\xE4\xF6\xFC\xDF\"}": "the row is not UTF-8", `{"sku":"A","name":"\ud83d"}`: "surrogate", `{"sku":"A","name":"x","name":"y"}`: "name is given twice"} {
			if rows := read(t, productfile.Format{}, row); len(rows) != 1 || !strings.Contains(rows[0], "1 ! ") || !strings.Contains(rows[0], want) {
				t.Errorf("%s = %q; want %s", row, rows, want)
			}
		}
	})
	t.Run("text of a Mac or of Eastern Europe is refused with the flag, and not garbled", func(t *testing.T) {
		for _, e := range []struct {
			encoding encoding.Encoding
			name     string
		}{
			{charmap.Macintosh, "Kühler für Möbel"}, {charmap.Windows1251, "Стол письменный"}, {charmap.CodePage850, "Größe für Möbel"},
			{charmap.Windows1250, "Židle dřevěná"}, {charmap.Windows1250, "Stół duży i książka"}, {charmap.Windows1254, "Kış çanta büyük beş"},
		} {
			rows := read(t, productfile.Format{}, encoded(e.encoding, "sku,name\nA,"+e.name+"\n"))
			if len(rows) != 1 || !strings.Contains(rows[0], "! column name is not UTF-8; give the encoding of the file") {
				t.Errorf("%s = %q; want an error with the flag", e.name, rows)
			}
		}
	})
	t.Run("encodings of East Asia are read by flag, and named without it", func(t *testing.T) {
		for name, tt := range map[string]struct {
			encoding encoding.Encoding
			text     string
		}{
			"shift_jis": {japanese.ShiftJIS, "オーク材の椅子、快適"}, "EUC-JP": {japanese.EUCJP, "テスト机"}, "gbk": {simplifiedchinese.GBK, "橡木椅子"},
			"gb18030": {simplifiedchinese.GB18030, "桌子"}, "big5": {traditionalchinese.Big5, "橡木椅子功能許"}, "cp949": {korean.EUCKR, "참나무 의자"},
		} {
			file := encoded(tt.encoding, "sku,name\nA,"+tt.text+"\n")
			expectRows(t, read(t, productfile.Format{Encoding: name}, file), `2 {"name":"`+tt.text+`","sku":"A"}`)
			if rows := read(t, productfile.Format{}, file); len(rows) != 1 || !strings.Contains(rows[0], "! column name is not UTF-8; give the encoding of the file") || !strings.Contains(rows[0], "shift_jis, gbk, big5 or euc-kr") {
				t.Errorf("%s = %q; want an error with the flag", name, rows)
			}
		}
		expectRows(t, read(t, productfile.Format{}, encoded(japanese.ISO2022JP, "sku,name\nA,椅子\n")), `2 {"name":"椅子","sku":"A"}`)
	})
	t.Run("encodings have their usual names", func(t *testing.T) {
		for _, name := range []string{"latin1", "ISO_8859-1", "cp1252", " Windows-1252", "ansi", "UTF8", "cp850", "sjis", "KS_C_5601-1987", "windows-1258"} {
			if err := (productfile.Format{Encoding: name}).Validate(); err != nil {
				t.Errorf("-encoding %s: %v", name, err)
			}
		}
		for _, name := range []string{"klingon", "replacement", "iso-2022-kr", "x-user-defined"} {
			expectError(t, productfile.Format{Encoding: name}.Validate(), "-encoding", "is unknown; the encodings are utf-8")
		}
	})
	t.Run("the kind of a file is recognised by its content", func(t *testing.T) {
		for _, tt := range []struct{ kind, file, want string }{
			{"", "[sku],name\nA,x\n", "give -map 'sku=[sku],name=name'"}, {productfile.JSON, "sku,name\nA,x\n", "give -format csv"}, {"", "<b>\n", "give -format csv"},
		} {
			_, err := tryRead(productfile.Format{Kind: tt.kind}, tt.file)
			expectError(t, err, tt.want)
		}
	})
	t.Run("other kinds of files are named", func(t *testing.T) {
		for file, want := range map[string]string{"PAR1\x00": "Parquet", "BZh91AY": "bzip2", "(\xB5/\xFD": "zstd", "\x89PNG\r\n": "an image", "<HTML><body>403": "HTML page", "<products/>": "XML or HTML", "a\x00\x00\x00\x00": "not a text", "%PDF-1.7\n": "PDF", "<?xml version='1.0'?>": "XML", "<!DOCTYPE html>": "HTML page", " \n\n": "the file is empty", "\xFF\xFE\x00\x00s\x00\x00\x00": "UTF-32"} {
			_, err := tryRead(productfile.Format{}, file)
			expectError(t, err, want)
		}
	})
	t.Run("a JSON file that is cut off, or has a comma too many, says so", func(t *testing.T) {
		expectRows(t, read(t, productfile.Format{}, `[{"sku":"A"},{"sku":"B"}`), `1 {"sku":"A"}`, `1 {"sku":"B"}`, "1 ! the list does not end: the file may be cut off")
		expectRows(t, read(t, productfile.Format{}, `{"products":[{"sku":"A"},{"sku":"B","na`), `1 {"sku":"A"}`, "1 ! the object does not end: the file may be cut off")
		rows := read(t, productfile.Format{}, "{\"sku\":\"A\"},\n{\"sku\":\"B\",}\n{\"sku\":\"C\"}\n")
		if len(rows) != 3 || rows[1] != "2 ! the row is not JSON at column 12: JSON has no comma before }" || rows[2] != `3 {"sku":"C"}` {
			t.Errorf("rows %q; want an error in line 2", rows)
		}
	})
	t.Run("a row of a JSON list has the number of its entry", func(t *testing.T) {
		var places []string
		for _, file := range []string{"[{\"sku\":\"A\"},\n5,\n{\"sku\":\"B\"}]", "{\"sku\":\"A\"}\n{\"sku\":\"B\"}"} {
			if err := productfile.Read(strings.NewReader(file), productfile.Format{}, func(r productfile.Row) error {
				places = append(places, r.Place())
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		expectRows(t, places, "entry 1, line 1", "entry 2, line 2", "entry 3, line 3", "line 1", "line 2")
	})
	t.Run("the flag for a delimiter that does not fit is named", func(t *testing.T) {
		_, err := tryRead(productfile.Format{Delimiter: ','}, semicolons)
		expectError(t, err, "line 1: no column is mapped to sku or id", `give -delimiter ';'`)
		_, err = tryRead(plain, "sku:name\nA:x\n")
		expectError(t, err, `give -delimiter ':'`)
		_, err = tryRead(plain, "\"sku,name\"\n\"A,x\"\n")
		expectError(t, err, "the whole row stands in quotes")
	})
}

func TestSourceOf(t *testing.T) {
	t.Parallel()
	const text = "sku,name\nA,Chair\n"
	gzipped := func() []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(text)) // writes to memory do not fail
		w.Close()
		return b.Bytes()
	}
	zipped := func(names ...string) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, name := range names {
			f, err := w.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = f.Write([]byte(text)) // writes to memory do not fail
		}
		w.Close()
		return b.Bytes()
	}
	for _, tt := range []struct {
		name    string
		content []byte
		inner   string // name of the content
		wrong   string // part of the error
	}{
		{"shop.csv", []byte(text), "shop.csv", ""},
		{"shop.csv.gz", gzipped(), "shop.csv", ""},
		{"download", gzipped(), "download", ""},
		{"shop.zip", zipped("__MACOSX/x", "dir/", "dir/feed.csv"), "dir/feed.csv", ""},
		{"cut.csv.gz", gzipped()[:20], "", "the gzip file is damaged or cut off: it ends too early"},
		{"cut.zip", zipped("a.csv")[:30], "", "the ZIP file is damaged or cut off"},
		{"two.zip", zipped("a.csv", "b.csv"), "", "has 2 files"},
		{"shop.xlsx", zipped("[Content_Types].xml", "xl/workbook.xml"), "", "CSV UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), tt.name)
			if err := os.WriteFile(name, tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			source, inner, err := productfile.SourceOf(f)
			if tt.wrong != "" {
				if err == nil {
					_, err = productfile.Recognise(source, productfile.Format{})
				}
				expectError(t, err, tt.wrong)
				return
			}
			if err != nil || !strings.HasSuffix(inner, tt.inner) {
				t.Fatalf("SourceOf = %q, %v; want %q", inner, err, tt.inner)
			}
			for range 2 { // an import reads it twice
				in, err := source()
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(in); string(got) != text || err != nil {
					t.Errorf("content %q, %v; want the text", got, err)
				}
			}
		})
	}
}

func TestCategories(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{
		"Clothing > Hoodies": "Clothing/Hoodies", "Clothing/Hoodies": "Clothing/Hoodies", "Clothing » Hoodies": "Clothing/Hoodies", "Clothing >> Hoodies": "Clothing/Hoodies",
		`Films \/ Series`: "Films \u2215 Series", "Films / Series": "Films/Series", "Clothing//Hoodies": "Clothing/Hoodies", "/Clothing/Hoodies/": "Clothing/Hoodies",
		"A/V > Cables": "A\u2215V/Cables", "Body > Perfume, Cologne & More > Unisex": "Body/Perfume, Cologne & More/Unisex", "Bed, Bath": "Bed, Bath",
		"Clothing > Hoodies, Clothing > New": "Clothing/Hoodies", "Home|Garden": "Home", "Gear,Gear > Bags": "Gear/Bags", " ": "",
	} {
		rows := read(t, plain, "sku,category\nA,\""+cell+"\"\n")
		value := `"category":"` + want + `"`
		if want == "" {
			value = `"category":null`
		}
		if len(rows) != 1 || !strings.Contains(strings.ReplaceAll(rows[0], `\u0026`, "&"), value) {
			t.Errorf("%q = %q; want %s", cell, rows, value)
		}
	}
	t.Run("other categories become tags by flag", func(t *testing.T) {
		f := plain
		f.OtherCategories = productfile.OtherTags
		expectRows(t, read(t, f, "sku,category,tags\nA,\"Clothing > Hoodies, Clothing > New\",x\n"), `2 {"category":"Clothing/Hoodies","sku":"A","tags":["x","New"]}`)
	})
}

func TestRows(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 260)
	t.Run("a text above its limit is refused, cut or left out, and said", func(t *testing.T) {
		file := "sku,name,brand\nA," + long + ",x\n"
		for policy, want := range map[string]string{
			"":     "2 ! name must have at most 250 characters, not 260",
			"cut":  `2 (name was cut from 260 to 250 characters) {"brand":"x","name":"` + long[:500] + `","sku":"A"}`,
			"skip": `2 (name was left out: it has 260 characters, and at most 250 are allowed) {"brand":"x","sku":"A"}`,
		} {
			f := plain
			f.Long.All = policy
			expectRows(t, read(t, f, file), want)
		}
	})
	t.Run("an SKU is cut only if -long names it, since two that are cut can be the same", func(t *testing.T) {
		file := "sku,name\n" + long[:130] + ",x\n"
		f := plain
		f.Long = productfile.Policies{All: "cut"}
		expectRows(t, read(t, f, file), "2 ! sku must have at most 64 characters, not 65")
		f.Long.Fields = map[string]string{"sku": "cut"}
		expectRows(t, read(t, f, file), `2 (sku was cut from 65 to 64 characters) {"name":"x","sku":"`+long[:128]+`"}`)
	})
	t.Run("damage by a spreadsheet is named", func(t *testing.T) {
		for cell, want := range map[string]string{
			"4.00638E+12": "! column sku: \"4.00638E+12\" is a number that a spreadsheet has shortened", `"4,00638E+12"`: "shortened", "4.006381333931E12": "shortened",
			"#N/A": "error value", "########": "error value", "#BEZUG!": "error value", "#¡REF!": "error value", `=1234`: "is a formula", `"=""0012""&""3"""`: "is a formula",
			"2026-03-01 00:00:00": "is a date", "3-Mar": `("3-Mar" looks like a date`, "12/05/2026": `("12/05/2026" looks like a date`, "10.20.30": `2 {"sku":"10.20.30"}`, `"=""00123"""`: `formula for the text "00123", which was taken) {"sku":"00123"}`,
			"'00123": `{"sku":"00123"}`, "12E5X": `{"sku":"12E5X"}`, "1E5": `{"sku":"1E5"}`, "#1": `{"sku":"#1"}`,
		} {
			if rows := read(t, plain, "sku\n"+cell+"\n"); len(rows) != 1 || !strings.Contains(rows[0], want) {
				t.Errorf("%s = %q; want %s", cell, rows, want)
			}
		}
		rows := read(t, plain, "sku,brand\nA,#WERT!\n")
		if len(rows) != 1 || !strings.Contains(rows[0], `! column brand: "#WERT!" is an error value of a spreadsheet`) {
			t.Errorf("rows %q; want an error value in the brand", rows)
		}
		if rows := read(t, productfile.Format{}, `{"sku":4.00638E+12}`); len(rows) != 1 || !strings.Contains(rows[0], "shortened") {
			t.Errorf("a JSON number = %q; want an error", rows)
		}
	})
	t.Run("a GTIN is read without blanks and hyphens, and one that is not valid is refused or left out", func(t *testing.T) {
		file := "sku,gtin\nA,978-3-16-148410-0\nB,40 0638 1333931\nC,4006381333931.00\nD,4006381333932\n"
		rows := read(t, plain, file)
		for i, want := range []string{"9783161484100", "4006381333931", "4006381333931", "give -invalid-gtin skip"} {
			if i >= len(rows) || !strings.Contains(rows[i], want) {
				t.Errorf("row %d of %q; want %s", i, rows, want)
			}
		}
		f := plain
		f.InvalidGTIN = productfile.InvalidSkip
		expectRows(t, read(t, f, file)[3:], `5 (gtin "4006381333932" was left out: it is not a valid GTIN) {"sku":"D"}`)
		if rows := read(t, plain, "sku,gtin\nA,12345678905\n"); len(rows) != 1 || !strings.Contains(rows[0], "a spreadsheet may have removed the 0") {
			t.Errorf("11 digits = %q; want the missing 0", rows)
		}
	})
	t.Run("texts that stand for an empty cell are empty", func(t *testing.T) {
		f := plain
		f.Nulls = []string{"n/a", "-", "NULL"}
		expectRows(t, read(t, f, "sku,name,price,brand\nA,x,-,null\nB,n/a,5,\\N\n"), `2 {"brand":null,"name":"x","sku":"A"}`, `3 {"brand":null,"price":{"amount":"5"},"sku":"B"}`)
	})
	t.Run("a control character is named", func(t *testing.T) {
		rows := read(t, plain, "sku,name\nA,Chair\x07 oak\n")
		if len(rows) != 1 || !strings.Contains(rows[0], "! name must not contain control characters, such as U+0007") {
			t.Errorf("rows %q; want U+0007", rows)
		}
	})
	t.Run("rows after the row of a product that have its SKU and no name are skipped", func(t *testing.T) {
		expectRows(t, read(t, plain, "sku,name,price\nA,Mug,1\nA,,2\nA,,\nB,,3\nB,Cup,4\n"),
			`2 {"name":"Mug","price":{"amount":"1"},"sku":"A"}`, "3 - rows of variants and images", "4 - rows of variants and images",
			`5 {"price":{"amount":"3"},"sku":"B"}`, `6 {"name":"Cup","price":{"amount":"4"},"sku":"B"}`)
	})
}

func TestMapping(t *testing.T) {
	t.Parallel()
	m, err := productfile.ParseMapping([]byte(`
delimiter: ";"
currency: EUR
columns:
  - {from: "Reference #", to: sku}
  - {from: "Name *", to: name, transform: [strip-html, lower, cut]}
  - {from: "Categories (x,y,z...)", to: category, separator: ","}
  - {from: Price tax excluded or Price tax included, to: price}
  - {from: "Tags (x,y,z...)", to: tags, separator: ",", empty: keep}
  - {from: Text, to: description, optional: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("a mapping file names columns, separators, transformations and policies", func(t *testing.T) {
		file := "Reference #;Name *;Categories (x,y,z...);Price tax excluded or Price tax included;Tags (x,y,z...)\nPS-1;<b>iPod</b>;Music,Players;100;apple, ipod\nPS-2;" + strings.Repeat("X", 251) + ";;1,5;\n"
		expectRows(t, read(t, productfile.Format{Mapping: m}, file),
			`2 (category "Players" was left out: a product has one category, the first) {"category":"Music","name":"ipod","price":{"amount":"100","currency":"EUR"},"sku":"PS-1","tags":["apple","ipod"]}`,
			`3 (name was cut from 251 to 250 characters) {"category":null,"name":"`+strings.Repeat("x", 250)+`","price":{"amount":"1.5","currency":"EUR"},"sku":"PS-2"}`)
	})
	t.Run("members of JSON objects are columns, and numbers are taken as written", func(t *testing.T) {
		f := productfile.Format{Currency: "EUR"}
		if f.Mapping.Columns, err = productfile.ParseMap("sku=number,name=title,price=price,tags=labels,attributes.w=size.width,attributes.v=variants.0.id"); err != nil {
			t.Fatal(err)
		}
		expectRows(t, read(t, f, `[{"number":4711,"title":" Key ","price":5.50,"labels":["a","b"],"size":{"width":45},"variants":[{"id":1}],"x":1},
{"number":"N-2","title":"Lock","price":{"amount":9,"currency":"USD"}}]`),
			`1 {"attributes":{"v":"1","w":"45"},"name":"Key","price":{"amount":"5.5","currency":"EUR"},"sku":"4711","tags":["a","b"]}`,
			`2 {"name":"Lock","price":{"amount":"9","currency":"USD"},"sku":"N-2"}`)
	})
	t.Run("an object is the text that is its name, and a list of objects their names", func(t *testing.T) {
		f := productfile.Format{}
		if f.Mapping.Columns, err = productfile.ParseMap("sku=sku,category=categories,brand=brand,tags=labels"); err != nil {
			t.Fatal(err)
		}
		expectRows(t, read(t, f, `{"sku":"A","categories":[{"id":9,"name":"Chairs"}],"brand":{"id":1,"name":"Acme"},"labels":[{"id":2,"title":"new"},"oak"]}
{"sku":"B","brand":{"id":1}}`),
			`1 {"brand":"Acme","category":"Chairs","sku":"A","tags":["new","oak"]}`, "2 ! column brand: is an object, not a text; name one of its members in -map, such as brand.name")
	})
	t.Run("numbers are taken as written without a mapping, too", func(t *testing.T) {
		expectRows(t, read(t, productfile.Format{}, `{"sku":4711,"price":{"amount":5.50,"currency":"EUR"},"attributes":{"width":45,"sold":true,"sizes":["S",40]},"reason":"corrected"}`),
			`1 {"attributes":{"sizes":"S, 40","sold":"true","width":"45"},"price":{"amount":"5.5","currency":"EUR"},"sku":"4711"}`)
		if rows := read(t, productfile.Format{}, `{"sku":"A","title":"x"}`); len(rows) != 1 || !strings.Contains(rows[0], "has members that are not fields: title; to leave them out, or assign them to fields, give -map 'sku=sku,name=title'") {
			t.Errorf("another member = %q; want -map", rows)
		}
	})
	t.Run("each entry of a list in a JSON object is a row", func(t *testing.T) {
		m, err := productfile.ParseMapping([]byte("each: sizes\ncolumns: [{from: sizes.no, to: sku}, {from: title, to: name}]"))
		if err != nil {
			t.Fatal(err)
		}
		expectRows(t, read(t, productfile.Format{Mapping: m}, `{"title":"Hat","sizes":[{"no":1},{"no":2}]}
{"title":"Cap","sizes":[],"no":3}`), `1 {"name":"Hat","sku":"1"}`, `1 {"name":"Hat","sku":"2"}`, "2 ! sku is missing; give an sku or an id, which identify the product of the line; the row has a blank cell in the column for it")
		rows := read(t, productfile.Format{Mapping: m}, `{"title":"Hat","sizes":[{"no":1}`+strings.Repeat(`,{"no":2}`, 2048)+`]}`)
		expectRows(t, rows, "1 ! has more than 2048 entries in sizes")
	})
	t.Run("a parent needs the columns that name it", func(t *testing.T) {
		_, err := productfile.ParseMapping([]byte("parent: p\ncolumns: [{from: a, to: sku}]"))
		expectError(t, err, "parent needs keys")
	})
	for text, want := range map[string]string{
		"columns: []":                                       "has no columns",
		"columns: [{from: a, to: colour}]":                  `"colour" is not a field`,
		"columns: [{from: a, to: sku, transform: [shout]}]": `transform "shout" is unknown`,
		"columns: [{from: a, to: sku, empty: never}]":       "empty must be clear or keep",
		"columns: [{from: a, to: sku, long: never}]":        "long must be refuse, cut or skip",
		"inherit: [b]\ncolumns: [{from: a, to: sku}]":       "inherit needs a group",
		"colunms: [{from: a, to: sku}]":                     "field colunms not found",
	} {
		_, err := productfile.ParseMapping([]byte(text))
		expectError(t, err, want)
	}
	_, err = productfile.Preset("excel")
	expectError(t, err, `-preset "excel" is unknown; the presets are bigbasket`)
}
