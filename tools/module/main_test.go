package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRewrite(t *testing.T) {
	write := func(dir, name, content string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := map[string]string{
		"go.mod":              "module catalog\n\ngo 1.26\n",
		"tools/go.mod":        "module catalog/tools\n",
		".golangci.yaml":      "local-prefixes: [catalog]\n",
		"api/v1/a.proto":      "import \"catalog/v1/b.proto\";\noption go_package = \"catalog/api/v1;catalogv1\";\n",
		"client/client.go":    "package client\n\nimport (\n\t\"fmt\"\n\n\t\"catalog\"\n\tv1 \"catalog/api/v1\"\n)\n",
		"test/e2e/a_test.go":  "package e2e\n\nvar s = []string{\"catalog/client/...\", \"catalog\", \"catalog/v1\", \"catalogue/client\"}\n",
		"bin/ignored.go":      "not Go",
		".git/ignored.go":     "not Go",
		"docs/unchanged.md":   "catalog/client\n",
		"client/data/not.txt": "module catalog\n",
	}
	after := map[string]string{
		"go.mod":             "module example.org/you/shop\n\ngo 1.26\n",
		"tools/go.mod":       "module example.org/you/shop/tools\n",
		".golangci.yaml":     "local-prefixes: [example.org/you/shop]\n",
		"api/v1/a.proto":     "import \"catalog/v1/b.proto\";\noption go_package = \"example.org/you/shop/api/v1;catalogv1\";\n",
		"client/client.go":   "package client\n\nimport (\n\t\"fmt\"\n\n\t\"example.org/you/shop\"\n\tv1 \"example.org/you/shop/api/v1\"\n)\n",
		"test/e2e/a_test.go": "package e2e\n\nvar s = []string{\"example.org/you/shop/client/...\", \"catalog\", \"catalog/v1\", \"catalogue/client\"}\n",
	}
	dir := t.TempDir()
	for name, content := range before {
		write(dir, name, content)
	}
	if n, err := rewrite(dir, "example.org/you/shop"); n != len(after) || err != nil {
		t.Fatalf("rewrite = %d, %v; want %d files", n, err, len(after))
	}
	for name, want := range before {
		if changed, ok := after[name]; ok {
			want = changed
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want || err != nil {
			t.Errorf("%s is\n%s\n%v; want\n%s", name, got, err, want)
		}
	}
	t.Run("the same path changes nothing", func(t *testing.T) {
		if n, err := rewrite(dir, "example.org/you/shop"); n != 0 || err != nil {
			t.Errorf("rewrite = %d, %v; want 0, nil", n, err)
		}
	})
	t.Run("the path can be changed back and forth", func(t *testing.T) {
		if n, err := rewrite(dir, "example.com/shop"); n != len(after) || err != nil {
			t.Errorf("rewrite = %d, %v; want %d files", n, err, len(after))
		}
	})
	t.Run("a path that cannot be imported is refused", func(t *testing.T) {
		for _, path := range []string{"", "shop", "shop/catalog", "example.org", "https://example.org/shop", "example.org/a b"} {
			if _, err := rewrite(dir, path); err == nil {
				t.Errorf("rewrite to %q = nil; want an error", path)
			}
		}
	})
}
