package e2e

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// mapping has the import flags of the furniture file.
var mapping = []string{"-delimiter", ";", "-decimal", ",", "-currency", "SAR",
	"-map", "sku=item_id,name=name,category=category,price=price,description=short_description,attributes.designer=designer,attributes.width=width,attributes.height=height,attributes.depth=depth"}

// importedFields are the fields of a product that the import sets.
type importedFields struct{ name, category, amount, description string }

// furniture returns a file to import and the products that it must produce by
// SKU: the file named by CATALOG_TEST_FURNITURE, or a generated one of the same
// form and with the same irregularities.
func furniture(t testing.TB) (file string, rows int, products map[string]importedFields) {
	t.Helper()
	if file = os.Getenv("CATALOG_TEST_FURNITURE"); file == "" {
		file = filepath.Join(t.TempDir(), "furniture.csv")
		makeFurniture(t, file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(b), "\uFEFF")))
	r.Comma = ';'
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	products = map[string]importedFields{}
	for _, l := range lines[1:] {
		price := strings.Replace(l[column["price"]], ",", ".", 1)
		whole, cents, _ := strings.Cut(price, ".")
		var kept []string
		for line := range strings.SplitSeq(strings.ReplaceAll(l[column["short_description"]], "\r", ""), "\n") {
			kept = append(kept, strings.Join(strings.Fields(line), " "))
		}
		products[l[column["item_id"]]] = importedFields{
			strings.Join(strings.Fields(l[column["name"]]), " "), strings.Join(strings.Fields(l[column["category"]]), " "),
			whole + "." + (cents + "00")[:2], strings.TrimSpace(strings.Join(kept, "\n")),
		}
	}
	return file, len(lines) - 1, products
}

func makeFurniture(t testing.TB, file string) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var b strings.Builder
	b.WriteString("\uFEFFX1;item_id;name;category;price;old_price;short_description;designer;depth;height;width\r\n")
	n := 0
	for item := range 2_400 {
		name := pick("ÅSTRÖM", "Bjørk / Bjørk", "CAFÉ", "Drömma", "ÉTÉ", "Fløy") + pick("", " XL", " mini")
		price := fmt.Sprintf("%d,%d", 5+r.IntN(3000), r.IntN(10))
		for range 1 + r.IntN(2)*r.IntN(3) {
			fmt.Fprintf(&b, "%d;%d;%s;%s;%s;No old price;\"%s,          %dx%d cm%s\";%s;%s;%d;\r\n", n, 10_000_000+item, name,
				pick("Bar furniture", "Beds", "Café furniture", "Cabinets & cupboards", "Children's furniture"), price,
				pick("Bar table", "Stool, \"\"stackable\"\"", "Wardrobe"), 40+r.IntN(50), 40+r.IntN(50), pick("", "\nFlat packed"),
				pick("Ehlén Åström", "K Hagberg/M Hagberg", ""), pick("50", ""), 40+r.IntN(100))
			n++
		}
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestImport_kill(t *testing.T) {
	file, rows, products := furniture(t)
	s := up(t, dataDir(t))
	args := append([]string{"import", "-server", s.api}, mapping...)

	for kill := range 3 {
		c := exec.Command(program, append(args, "-retry", "0s", file)...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// Each import gets further: it starts with the rows that were sent before.
		eventually(t, "the import has progressed", func() bool { return s.settledCommands() > len(products)*(kill+1)/6 })
		_ = s.stop(syscall.SIGKILL)
		if err := c.Wait(); err == nil {
			t.Fatalf("void: import %d ended before the server was killed", kill+1)
		}
		s.start()
	}
	stdout, stderr, code := command(t, append(args, file)...)
	if code != 0 || !strings.HasPrefix(stdout, fmt.Sprintf("%d rows: ", rows)) {
		t.Fatalf("import exits with %d:\n%s%s", code, stdout, stderr)
	}
	checkCatalogue(t, s, products)

	stdout, stderr, code = command(t, append(args, file)...)
	if again := fmt.Sprintf("%d rows: 0 created, 0 updated, %d unchanged, 0 refused", rows, rows); code != 0 || !strings.HasPrefix(stdout, again) {
		t.Fatalf("a second import exits with %d; want %q:\n%s%s", code, again, stdout, stderr)
	}

	for _, format := range []string{"ndjson", "csv"} {
		t.Run("an export to "+format+" imports as the same catalogue", func(t *testing.T) {
			export := filepath.Join(t.TempDir(), "export."+format)
			if stdout, stderr, code := command(t, "export", "-server", s.api, export); code != 0 {
				t.Fatalf("export exits with %d:\n%s%s", code, stdout, stderr)
			}
			unchanged := fmt.Sprintf("%d rows: 0 created, 0 updated, %d unchanged, 0 refused", len(products), len(products))
			if stdout, stderr, code := command(t, "import", "-server", s.api, export); code != 0 || !strings.HasPrefix(stdout, unchanged) {
				t.Fatalf("import of the export exits with %d; want %q:\n%s%s", code, unchanged, stdout, stderr)
			}
			other := up(t, dataDir(t))
			if stdout, stderr, code := command(t, "import", "-server", other.api, export); code != 0 {
				t.Fatalf("import into an empty catalogue exits with %d:\n%s%s", code, stdout, stderr)
			}
			checkCatalogue(t, other, products)
		})
	}
}

// settledCommands returns how many commands the server has settled since its
// start.
func (s *server) settledCommands() int {
	s.t.Helper()
	metrics := (&server{t: s.t, api: s.admin}).must(http.StatusOK, "GET", "/metrics", "").body
	var sum float64
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "catalog_writer_commands_total{") {
			n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			sum += n
		}
	}
	return int(sum)
}

// checkCatalogue compares list, search and reads by id with the products.
func checkCatalogue(t *testing.T, s *server, products map[string]importedFields) {
	t.Helper()
	eventually(t, "all products are listed", func() bool {
		return s.must(http.StatusOK, "GET", "/api/v1/products?limit=1", "").json(t)["total"] == float64(len(products))
	})
	missing := map[string]importedFields{}
	for sku, w := range products {
		missing[sku] = w
	}
	i := 0
	for cursor := ""; ; {
		page := s.must(http.StatusOK, "GET", "/api/v1/products?limit=100&cursor="+url.QueryEscape(cursor), "").json(t)
		for _, item := range page["items"].([]any) {
			p := item.(map[string]any)
			sku := p["sku"].(string)
			if got := importedProduct(p); got != missing[sku] {
				t.Fatalf("SKU %s is listed as %+v; want %+v (empty: listed twice)", sku, got, missing[sku])
			}
			delete(missing, sku)
			byID := s.must(http.StatusOK, "GET", "/api/v1/products/"+p["id"].(string), "").json(t)
			if importedProduct(byID) != importedProduct(p) || byID["version"] != p["version"] {
				t.Fatalf("SKU %s: %v by id, %v in the list", sku, byID, p)
			}
			if i++; i%10 == 0 {
				found := s.must(http.StatusOK, "GET", "/api/v1/products?q="+sku, "").json(t)["items"].([]any)
				if len(found) == 0 || found[0].(map[string]any)["id"] != p["id"] {
					t.Fatalf("a search for SKU %s does not return it first", sku)
				}
			}
		}
		next, ok := page["nextCursor"]
		if !ok {
			break
		}
		cursor = next.(string)
	}
	if len(missing) > 0 {
		t.Fatalf("%d products are not listed", len(missing))
	}
}

func importedProduct(p map[string]any) importedFields {
	text := func(k string) string { s, _ := p[k].(string); return s }
	return importedFields{text("name"), text("category"), p["price"].(map[string]any)["amount"].(string), text("description")}
}

func TestImport_errors(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	for _, test := range []struct {
		name, file, content string
		flags               []string
		code                int
		want                []string
	}{
		{"a refused row does not stop the others", "a.csv", "sku,name,price,currency\nA,Chair,10,EUR\nB,,10,EUR\nC,Lamp,ten,EUR\nD,Bed,10.005,EUR\nE,Sofa,20,EUR\n", nil, 1,
			[]string{"5 rows: 2 created, 0 updated, 0 unchanged, 3 refused", "line 3: Not found: there is no such product, and the row cannot create one: it has no name", "line 4: column price", `line 5: column price: price "10.005" can be`}},
		{"a missing column: the message lists the columns", "a.csv", "id;title\n", []string{"-delimiter", ";", "-map", "sku=number"}, 1, []string{`no column "number"`, "id, title", "nothing was sent"}},
		{"a quote that does not close", "a.csv", "sku,name,price,currency\nA,\"Chair,10,EUR\nB,Lamp,10,EUR\n", nil, 1, []string{"line 2: a quoted cell does not end", "1 created"}},
		{"a row without its last cells", "a.csv", "sku,name,price,currency\nX,Chair\nY,Lamp,10,EUR\n", nil, 1, []string{"line 2: The request is not valid; price is missing", "1 created"}},
		{"Latin-1", "a.csv", "sku,name,price,currency\nZ,Caf\xe9,10,EUR\n", nil, 0, []string{"encoding windows-1252", "1 created"}},
		{"UTF-16", "a.csv", "\xff\xfes\x00k\x00u\x00", nil, 1, []string{"encoding utf-16le", "no row with a product"}},
		{"an empty file", "a.csv", "", nil, 1, []string{"the file is empty"}},
		{"no SKU and no id", "a.csv", "name,price\n", nil, 1, []string{"-map sku=COLUMN"}},
		{"NDJSON with bad lines", "a.ndjson", "{\"sku\":\"N1\",\"name\":\"Chair\",\"price\":{\"amount\":\"1\",\"currency\":\"EUR\"}}\n{\"sku\":\"N2\"\n{\"sku\":\"N3\",\"nmae\":\"x\"}\n", nil, 1, []string{"line 2: the object, or a text in it, does not end on its line", "line 3: has members that are not fields: nmae;", "1 created"}},
		{"a file that is not there", "", "", nil, 1, []string{"no such file"}},
		{"an unknown delimiter", "a.csv", "", []string{"-delimiter", "::"}, 2, []string{"-delimiter must be one character"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "missing")
			if test.file != "" {
				file = filepath.Join(t.TempDir(), test.file)
				if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			args := append([]string{"import", "-server", s.api}, test.flags...)
			stdout, stderr, code := command(t, append(args, file)...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(stdout+stderr, want) {
					t.Errorf("no %q in the output:\n%s%s", want, stdout, stderr)
				}
			}
		})
	}
}

func TestImport_restart(t *testing.T) {
	t.Parallel()
	file, rows, products := furniture(t)
	s := up(t, dataDir(t))
	c := exec.Command(program, append(append([]string{"import", "-server", s.api}, mapping...), file)...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the import has started", func() bool {
		return s.must(http.StatusOK, "GET", "/api/v1/products?limit=1", "").json(t)["total"].(float64) > 0
	})
	_ = s.stop(syscall.SIGKILL)
	s.start()
	summary := make([]byte, 200)
	n, _ := out.Read(summary)
	// What was created, and whose result the restart lost, counts as created.
	if err := c.Wait(); err != nil || !strings.HasPrefix(string(summary[:n]), fmt.Sprintf("%d rows: %d created, 0 updated, ", rows, len(products))) {
		t.Fatalf("import exits with %v:\n%s\nwant %d created", err, summary[:n], len(products))
	}
	checkCatalogue(t, s, products)
}
