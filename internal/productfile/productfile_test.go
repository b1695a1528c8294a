package productfile_test

import (
	"strconv"
	"strings"
	"testing"

	"catalog/internal/productfile"
)

// plain is the format that catalog import has without flags.
var plain = productfile.Format{Kind: productfile.CSV}

// read returns the rows of a file, as "line JSON" or "line ! error".
func read(t *testing.T, f productfile.Format, file string) []string {
	t.Helper()
	rows, err := tryRead(f, file)
	if err != nil {
		t.Fatalf("Read = %v; want no error", err)
	}
	return rows
}

func tryRead(f productfile.Format, file string) (rows []string, err error) {
	err = productfile.Read(strings.NewReader(file), f, func(r productfile.Row) error {
		rows = append(rows, show(r))
		return nil
	})
	return rows, err
}

func show(r productfile.Row) string {
	line := strconv.Itoa(r.Line) + " "
	switch {
	case r.Err != nil:
		return line + "! " + r.Err.Error()
	case r.Skipped != "":
		return line + "- " + r.Skipped
	}
	for _, note := range r.Notes {
		line += "(" + note + ") "
	}
	return line + string(r.JSON)
}

func expectRows(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("rows %q; want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("row %d is %s; want %s", i, got[i], want[i])
		}
	}
}

func expectError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v; want one that contains %q", err, part)
		}
	}
}

func TestRead(t *testing.T) {
	ndjson := productfile.Format{Kind: productfile.JSON}
	t.Run("a byte-order mark of UTF-8 is not part of the first column or row", func(t *testing.T) {
		expectRows(t, read(t, plain, "\uFEFFsku,name\nA,Chair\n"), `2 {"name":"Chair","sku":"A"}`)
		expectRows(t, read(t, ndjson, "\uFEFF"+`{"sku":"A"}`), `1 {"sku":"A"}`)
	})
	t.Run("NDJSON rows are made one line, and empty lines are skipped", func(t *testing.T) {
		expectRows(t, read(t, ndjson, "\n  {\"sku\": \"A\"}\r\n\n{\"sku\":\"B\", \"name\":\"x  y\"}"),
			`2 {"sku":"A"}`, `4 {"sku":"B","name":"x  y"}`)
	})
	t.Run("an invalid row does not end the file", func(t *testing.T) {
		rows := read(t, ndjson, "{\"sku\":\"A\"}\n{\"colour\":\"red\",\"sku\":\"B\"}\n{\"name\":\"C\"}\n{\"sku\":\n{\"sku\":\"E\"}\n")
		if len(rows) != 5 || !strings.HasPrefix(rows[1], "2 ! has members that are not fields: colour;") || !strings.Contains(rows[2], "3 ! sku is missing") || !strings.HasPrefix(rows[3], "4 ! ") || rows[4] != `5 {"sku":"E"}` {
			t.Errorf("rows %q; want rows 2 to 4 refused and row 5 read", rows)
		}
	})
	t.Run("the key is the id, or else the SKU", func(t *testing.T) {
		const id = "01920000-0000-7000-8000-000000000001"
		var keys []string
		file := `{"sku":"A"}` + "\n" + `{"sku":"A","id":"` + strings.ToUpper(id) + `"}`
		if err := productfile.Read(strings.NewReader(file), ndjson, func(r productfile.Row) error {
			keys = append(keys, r.Key)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		expectRows(t, keys, "sku a", "id "+id)
	})
}

func TestKindOf(t *testing.T) {
	for _, tt := range []struct{ kind, name, want string }{
		{"", "shop.csv", "csv"},
		{"", "SHOP.CSV", "csv"},
		{"", "shop.tsv", "csv"},
		{"", "shop.csv.gz", "csv"},
		{"", "shop.ndjson", "json"},
		{"", "shop.jsonl.zip", "json"},
		{"", "shop.txt", ""},
		{"", "shop", ""},
		{"", "-", ""},
		{"csv", "-", "csv"},
		{"csv", "shop.ndjson", "csv"},
		{"ndjson", "shop.csv", "json"},
	} {
		if got, err := productfile.KindOf(tt.kind, tt.name); got != tt.want || err != nil {
			t.Errorf("KindOf(%q, %q) = %q, %v; want %q", tt.kind, tt.name, got, err, tt.want)
		}
	}
	_, err := productfile.KindOf("", "shop.xlsx")
	expectError(t, err, "shop.xlsx is a workbook", "CSV UTF-8")
	_, err = productfile.KindOf("excel", "shop.csv")
	expectError(t, err, `-format must be csv or ndjson, not "excel"`)
}

func TestFormat_Validate(t *testing.T) {
	for _, tt := range []struct{ delimiter, decimal, want string }{
		{",", ".", ""},
		{";", ",", ""},
		{`\t`, ",", ""},
		{"¦", ".", ""},
		{"", "", ""},
		{"::", ".", "-delimiter must be one character"},
		{`"`, ".", "-delimiter must not be"},
		{"\n", ".", "-delimiter must not be"},
		{"\xFF", ".", "-delimiter must not be"},
		{",", "'", "-decimal must be"},
	} {
		d, err := productfile.ParseDelimiter(tt.delimiter)
		if err == nil {
			err = productfile.Format{Kind: productfile.CSV, Delimiter: d, Decimal: tt.decimal}.Validate()
		}
		if tt.want == "" && err != nil {
			t.Errorf("delimiter %q, decimal %q: %v; want no error", tt.delimiter, tt.decimal, err)
		}
		if tt.want != "" {
			expectError(t, err, tt.want)
		}
	}
	if d, err := productfile.ParseDelimiter(`\t`); d != '\t' || err != nil {
		t.Errorf(`ParseDelimiter(\t) = %q, %v; want a tab`, d, err)
	}
}
