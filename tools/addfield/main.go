// Command addfield proves the recipe for a new field of a product. It copies the
// repository to a temporary folder, adds the field "material" there by the edits
// of the recipe in CONTRIBUTING.md, regenerates code, runs the tests that concern
// a field, and fails if they fail or if the recipe edits more than nine files.
// It then leaves out one conversion after the other and fails if no test notices.
//
//	go run -C tools ./addfield [-dir ..] [-keep]
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// maxFiles limits the files that a new field may need to change by hand.
const maxFiles = 9

// edit inserts text after the matches of a pattern in a file.
type edit struct {
	file    string
	pattern string // must match exactly once
	text    string // text to write after the match; $1 is a group of the pattern
}

// recipe is the recipe of CONTRIBUTING.md for a line of text. The numbers of the
// protobuf fields are out of the way of real ones.
var recipe = []edit{
	{"product.go", `(?m)^\tBrand +string.*\n`, "\tMaterial string\n"},
	{"product.go", `(?m)^\tBrand +\*string.*\n`, "\tMaterial *string\n"},
	{"fields.go", `(?m)^\tMaxBrand +=.*\n`, "\tMaxMaterial = 80\n"},
	{"fields.go", `(?m)^\t\tPatchText: func\(p \*Patch\) \*\*string { return &p.Brand },\n\t},\n`, `	{
		Name: "material", Kind: KindLine, MaxLen: MaxMaterial, Example: "beech",
		Help:      "main material",
		Text:      func(d *ProductData) *string { return &d.Material },
		PatchText: func(p *Patch) **string { return &p.Material },
	},
`},

	{"api/catalog/v1/product.proto", `(?m)^  string brand = \d+;\n`, "  string material = 1000;\n"},
	{"api/catalog/v1/product.proto", `(?m)^  optional string brand = \d+;\n`, "  optional string material = 1000;\n"},
	{"internal/wire/proto.go", `Brand: d\.Brand,`, " Material: d.Material,"},
	{"internal/wire/proto.go", `Brand: m\.GetBrand\(\),`, " Material: m.GetMaterial(),"},
	{"internal/wire/proto.go", `Brand: p\.Brand,`, " Material: p.Material,"},
	{"internal/wire/proto.go", `Brand: m\.Brand,`, " Material: m.Material,"},

	{"api/openapi.yaml", `(?m)^        brand: { type: string, maxLength: \d+.*\n`, "        material: { type: string, maxLength: 80 }\n"},
	{"api/openapi.yaml", `(?m)^        brand: { type: \[string, "null"\].*\n`, "        material: { type: [string, \"null\"], maxLength: 80 }\n"},
	{"api/openapi.yaml", `(?m)^        brand: { type: string }\n`, "        material: { type: string }\n"},
	{"internal/wire/render.go", `Brand: p\.Brand,`, " Material: p.Material,"},
	{"internal/wire/render.go", `Brand: d\.Brand,`, " Material: d.Material,"},
	{"internal/wire/render.go", `Brand: m\.Brand,`, " Material: m.Material,"},

	{"web/index.html", `(?m)^ +<label>Brand <input name="brand".*\n`, "      <label>Material <input name=\"material\" maxlength=\"80\"></label>\n"},
	{"internal/wire/wire_test.go", `(?m)^	return map\[string\]catalog\.Command{\n`,
		"\t\t\"patch material\": with(catalog.PatchProduct{Patch: catalog.Patch{Material: text(\"oak\")}}, catalog.Condition{}),\n"},
	{"CHANGELOG.md", `(?m)^### Added\n\n`, "- Products have a material.\n"},
}

// tests are the packages whose tests concern a field.
var tests = []string{".", "./api", "./client", "./engine/sqlite", "./gateway", "./internal/productfile", "./internal/wire", "./web"}

// conversions are the files in which a forgotten field must fail the tests of the
// root or of wire.
var conversions = []string{"internal/wire/proto.go", "internal/wire/render.go", "fields.go", "api/openapi.yaml"}

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "..", "`folder` of the repository")
	keep := flag.Bool("keep", false, "keep the scratch copy and print its path")
	flag.Parse()
	scratch, err := os.MkdirTemp("", "addfield-")
	check(err)
	err = prove(*dir, scratch)
	if *keep {
		log.Println("scratch copy:", scratch)
	} else {
		check(os.RemoveAll(scratch))
	}
	check(err)
}

func prove(dir, scratch string) error {
	if err := copyTree(dir, scratch); err != nil {
		return err
	}
	var files []string // in the order of the recipe
	original := map[string][]byte{}
	for _, e := range recipe {
		if original[e.file] == nil {
			files = append(files, e.file)
			text, err := os.ReadFile(filepath.Join(scratch, e.file))
			if err != nil {
				return err
			}
			original[e.file] = text
		}
		if err := e.apply(scratch); err != nil {
			return err
		}
	}
	if len(files) > maxFiles {
		return fmt.Errorf("a field needs edits in %d files, more than %d: %s", len(files), maxFiles, strings.Join(files, ", "))
	}
	if err := generate(scratch); err != nil {
		return err
	}
	if out, err := run(scratch, "go", "test", "-count=1", "./internal/wire", "-write"); err != nil { // the golden files of the new field
		return fmt.Errorf("write golden files: %w\n%s", err, out)
	}
	if out, err := run(scratch, "go", append([]string{"test", "-count=1"}, tests...)...); err != nil {
		return fmt.Errorf("the tests with the new field: %w\n%s", err, out)
	}
	if out, err := run(scratch, "go", "vet", "./..."); err != nil {
		return fmt.Errorf("vet with the new field: %w\n%s", err, out)
	}
	log.Printf("a field needs edits in %d files: %s", len(files), strings.Join(files, ", "))
	for _, file := range conversions {
		if err := forget(scratch, file, original[file]); err != nil {
			return err
		}
	}
	return nil
}

// forget puts back the original of one file and returns an error if the tests of
// the root and of wire still pass.
func forget(scratch, file string, original []byte) error {
	name := filepath.Join(scratch, file)
	edited, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	defer func() { check(os.WriteFile(name, edited, 0o644)) }()
	if err := os.WriteFile(name, original, 0o644); err != nil {
		return err
	}
	if _, err := run(scratch, "go", "test", "-count=1", "-run", "Fields|Limits", ".", "./api", "./internal/wire"); err == nil {
		return fmt.Errorf("no test fails when the edit of %s is forgotten", file)
	}
	log.Printf("a test fails when %s is forgotten", file)
	return nil
}

func (e edit) apply(scratch string) error {
	name := filepath.Join(scratch, e.file)
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	all := regexp.MustCompile(e.pattern).FindAllIndex(text, -1)
	if len(all) != 1 {
		return fmt.Errorf("%s: %s matches %d times, not once; adapt the recipe in tools/addfield", e.file, e.pattern, len(all))
	}
	end := all[0][1]
	edited := append(append(append([]byte{}, text[:end]...), e.text...), text[end:]...)
	return os.WriteFile(name, edited, 0o644)
}

func generate(scratch string) error {
	if out, err := run(scratch, "go", "generate", "./api"); err != nil {
		return fmt.Errorf("generate: %w\n%s", err, out)
	}
	return nil
}

// copyTree copies the files that git knows or would add.
func copyTree(from, to string) error {
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = from
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("list the files of %s: %w", from, err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		info, err := os.Lstat(filepath.Join(from, name))
		if os.IsNotExist(err) {
			continue // the file is deleted, and the deletion is not yet committed
		} else if err != nil {
			return err
		}
		if info.Mode()&os.ModeSymlink != 0 {
			continue // a link to a folder that is copied, too
		}
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), text, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

// run runs a command in the scratch copy and returns its output.
func run(dir, name string, args ...string) (string, error) {
	command := exec.Command(name, args...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	return string(out), err
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
