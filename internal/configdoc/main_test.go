package main

import (
	"os"
	"strings"
	"testing"
)

func TestDocument(t *testing.T) {
	t.Run("docs/configuration.md is up to date", func(t *testing.T) {
		have, err := os.ReadFile("../../docs/configuration.md")
		if err != nil {
			t.Fatal(err)
		}
		want, err := document("../..")
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != want {
			t.Error("docs/configuration.md differs from the flags of the programs; run go generate .")
		}
	})
	t.Run("a flag that -h prints in another form is an error", func(t *testing.T) {
		if err := parse(map[string]*setting{}, "gateway", "usage\n\n  -http address\n   at this address\n"); err == nil {
			t.Error("parse = nil; want an error")
		}
	})
	t.Run("defaults that differ name their programs", func(t *testing.T) {
		settings := map[string]*setting{}
		for program, printed := range map[string]string{
			"gateway": "\n  -admin address\n    \taddress of the admin port (default :1) [$CATALOG_ADMIN]\n",
			"writer":  "\n  -admin address\n    \taddress of the admin port (default :2) [$CATALOG_ADMIN]\n",
		} {
			if err := parse(settings, program, printed); err != nil {
				t.Fatal(err)
			}
		}
		const want = "| `-admin address` | `CATALOG_ADMIN` | gateway: `:1`<br>writer: `:2` | address of the admin port | gateway, writer |\n"
		if got := render(settings); !strings.Contains(got, want) {
			t.Errorf("document = %s\nwant the row %s", got, want)
		}
	})
}
