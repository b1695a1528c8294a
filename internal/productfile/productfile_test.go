package productfile_test

import (
	"strings"
	"testing"

	"catalog/internal/productfile"
)

// plain is the format that catalog import has without flags.
var plain = productfile.Format{CSV: true, Delimiter: ',', Decimal: "."}

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
	line := string(rune('0'+r.Line)) + " "
	if r.Err != nil {
		return line + "! " + r.Err.Error()
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
	ndjson := productfile.Format{}
	t.Run("a byte-order mark of UTF-8 is not part of the first column or row", func(t *testing.T) {
		expectRows(t, read(t, plain, "\uFEFFsku,name\nA,Chair\n"), `2 {"name":"Chair","sku":"A"}`)
		expectRows(t, read(t, ndjson, "\uFEFF"+`{"sku":"A"}`), `1 {"sku":"A"}`)
	})
	t.Run("UTF-16 is refused with a remedy", func(t *testing.T) {
		for _, mark := range []string{"\xFF\xFE", "\xFE\xFF"} {
			_, err := tryRead(plain, mark+"s\x00k\x00u\x00")
			expectError(t, err, "line 1: the file is UTF-16", "iconv -f UTF-16")
		}
	})
	t.Run("NDJSON rows are made one line, and empty lines are skipped", func(t *testing.T) {
		expectRows(t, read(t, ndjson, "\n  {\"sku\": \"A\"}\r\n\n{\"sku\":\"B\", \"name\":\"x  y\"}"),
			`2 {"sku":"A"}`, `4 {"sku":"B","name":"x  y"}`)
	})
	t.Run("an invalid row does not end the file", func(t *testing.T) {
		rows := read(t, ndjson, "{\"sku\":\"A\"}\n{\"colour\":\"red\",\"sku\":\"B\"}\n{\"name\":\"C\"}\n{\"sku\":\n{\"sku\":\"E\"}\n")
		if len(rows) != 5 || !strings.HasPrefix(rows[1], "2 ! colour") || !strings.Contains(rows[2], "3 ! sku is missing") || !strings.HasPrefix(rows[3], "4 ! ") || rows[4] != `5 {"sku":"E"}` {
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
		expectRows(t, keys, "sku A", "id "+id)
	})
}

func TestIsCSV(t *testing.T) {
	for _, tt := range []struct {
		kind, name string
		want       bool
	}{
		{"", "shop.csv", true},
		{"", "SHOP.CSV", true},
		{"", "shop.tsv", true},
		{"", "shop.ndjson", false},
		{"", "shop.jsonl", false},
		{"", "shop", false},
		{"", "-", false},
		{"csv", "-", true},
		{"csv", "shop.ndjson", true},
		{"ndjson", "shop.csv", false},
	} {
		if got, err := productfile.IsCSV(tt.kind, tt.name); got != tt.want || err != nil {
			t.Errorf("IsCSV(%q, %q) = %v, %v; want %v", tt.kind, tt.name, got, err, tt.want)
		}
	}
	_, err := productfile.IsCSV("", "shop.xlsx")
	expectError(t, err, `-format must be csv or ndjson, not "xlsx"`)
}

func TestFormat_Validate(t *testing.T) {
	for _, tt := range []struct{ delimiter, decimal, want string }{
		{",", ".", ""},
		{";", ",", ""},
		{`\t`, ",", ""},
		{"¦", ".", ""},
		{"", ".", "-delimiter must be one character"},
		{"::", ".", "-delimiter must be one character"},
		{`"`, ".", "-delimiter must not be"},
		{"\n", ".", "-delimiter must not be"},
		{"\xFF", ".", "-delimiter must not be"},
		{",", "'", "-decimal must be"},
		{",", "", "-decimal must be"},
	} {
		d, err := productfile.ParseDelimiter(tt.delimiter)
		if err == nil {
			err = productfile.Format{CSV: true, Delimiter: d, Decimal: tt.decimal}.Validate()
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
