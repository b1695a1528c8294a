package main

import (
	"go/parser"
	"go/token"
	"os"
	"testing"
)

func TestDocument(t *testing.T) {
	t.Run("docs/metrics.md is up to date", func(t *testing.T) {
		want, err := document("../..")
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile("../../docs/metrics.md")
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Error("docs/metrics.md is not what the source says; run go generate ./internal/metrics")
		}
	})
	t.Run("a metric whose name is not a literal is an error", func(t *testing.T) {
		source := `package p; var _ = prometheus.NewCounter(prometheus.CounterOpts{Name: "catalog_" + side(), Help: ""})`
		file, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := metricsOf(file); err == nil {
			t.Error("metricsOf returned no error")
		}
	})
}
