package main

import (
	"os"
	"testing"
)

func TestMutants(t *testing.T) {
	t.Chdir("../..")
	seen := map[string]bool{}
	for _, m := range mutants {
		if _, err := m.apply(); err != nil {
			t.Errorf("%s: %v", m.bug, err)
		}
		if info, err := os.Stat(m.pkg); err != nil || !info.IsDir() || m.test == "" || seen[m.bug] {
			t.Errorf("%s: package %s, test %q, %v", m.bug, m.pkg, m.test, err)
		}
		seen[m.bug] = true
	}
}
