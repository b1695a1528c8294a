package catalog_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	mdLink     = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	mdFile     = regexp.MustCompile("`([\\w./-]+\\.(?:go|md|proto|yaml|svg|txt))`")
	mdTestName = regexp.MustCompile("`(Test\\w+)`")
	faultRow   = regexp.MustCompile(`(?m)^\| ([AS]\d+(?:, [AS]\d+)*) \|.*\|([^|]*)\|$`)
	testFunc   = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// TestDocs checks that documents name only what exists: links, files in
// backquotes, and test functions. A file may be named by the end of its path.
func TestDocs(t *testing.T) {
	t.Parallel()
	files, tests := repositoryFiles(t)
	exists := func(dir, name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	for _, name := range files {
		if path.Ext(name) != ".md" {
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mdLink.FindAllStringSubmatch(string(content), -1) {
			if !strings.Contains(m[1], "://") && !exists(path.Dir(name), m[1]) {
				t.Errorf("%s links to %s, which does not exist", name, m[1])
			}
		}
		for _, m := range mdFile.FindAllStringSubmatch(string(content), -1) {
			if !exists(".", m[1]) && !hasFile(files, m[1]) {
				t.Errorf("%s names the file %s, which does not exist", name, m[1])
			}
		}
		for _, m := range mdTestName.FindAllStringSubmatch(string(content), -1) {
			if !tests[m[1]] && !strings.HasPrefix(m[1], "TestSubject") {
				t.Errorf("%s names the test %s, which does not exist", name, m[1])
			}
		}
	}
}

// TestDocs_faults checks that docs/guarantees.md has a row with a test for each fault that
// the audit (A) and the attack (S) found. TestDocs checks that the tests exist.
func TestDocs_faults(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for _, row := range faultRow.FindAllStringSubmatch(string(content), -1) {
		for id := range strings.SplitSeq(row[1], ", ") {
			tested[id] = mdTestName.MatchString(row[2])
		}
	}
	for kind, last := range map[string]int{"A": 11, "S": 22} {
		for n := 1; n <= last; n++ {
			if id := kind + strconv.Itoa(n); !tested[id] {
				t.Errorf("docs/guarantees.md names no test for the fault %s", id)
			}
		}
	}
}

// repositoryFiles returns the files of the repository and the names of all
// test functions and suites.
func repositoryFiles(t *testing.T) (files []string, tests map[string]bool) {
	t.Helper()
	tests = map[string]bool{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") && base != ".ci" || base == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		files = append(files, filepath.ToSlash(name))
		if path.Ext(name) != ".go" {
			return nil
		}
		content, err := os.ReadFile(name)
		for _, m := range testFunc.FindAllStringSubmatch(string(content), -1) {
			tests[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, tests
}

func hasFile(files []string, end string) bool {
	for _, f := range files {
		if f == end || strings.HasSuffix(f, "/"+end) {
			return true
		}
	}
	return false
}
