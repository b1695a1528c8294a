package main

import (
	"os"
	"testing"
)

func TestDocument(t *testing.T) {
	t.Run("docs/errors.md is up to date", func(t *testing.T) {
		text, err := os.ReadFile("../../docs/errors.md")
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != document() {
			t.Error("docs/errors.md differs from the error model; run go generate .")
		}
	})
}
