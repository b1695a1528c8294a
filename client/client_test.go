package client_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/client"
	"catalog/internal/wire"
)

// TestPositions reads from a server that records the positions it receives.
func TestPositions(t *testing.T) {
	var next, sent string
	product := wire.ProductToJSON(catalog.Product{ID: catalog.DerivedID("p"), Version: 1, ProductData: catalog.ProductData{Name: "Lamp", Price: catalog.Money{Currency: "EUR"}}}, catalog.BeforeLastReduction)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Catalog-Position")
		switch {
		case r.URL.Path == "/api/v1/imports":
			fmt.Fprintf(w, "{\"line\":1,\"outcome\":\"created\",\"position\":%q}\n{\"line\":2,\"outcome\":\"unchanged\",\"position\":\"7.3\"}\n", next)
		case r.Method != http.MethodGet:
			w.Header().Set("Catalog-Position", next)
			w.WriteHeader(http.StatusCreated)
			_ = json.NewEncoder(w).Encode(product)
		case r.URL.Path == "/api/v1/products":
			fmt.Fprint(w, `{"items":[],"total":0}`)
		default:
			_ = json.NewEncoder(w).Encode(product)
		}
	}))
	defer server.Close()
	c := client.New(server.URL)
	write := func(position string) {
		t.Helper()
		next = position
		if _, err := c.Create(t.Context(), catalog.ProductData{Name: "Lamp"}); err != nil {
			t.Fatal(err)
		}
	}
	carry := func(want ...string) {
		t.Helper()
		if _, err := c.Product(t.Context(), catalog.DerivedID("p")); err != nil {
			t.Fatal(err)
		}
		read := sent
		if _, err := c.Search(t.Context(), catalog.Query{}); err != nil {
			t.Fatal(err)
		}
		for _, got := range []string{read, sent} {
			all := strings.FieldsFunc(got, func(r rune) bool { return r == ',' })
			slices.Sort(all)
			if !slices.Equal(all, want) {
				t.Fatalf("Catalog-Position of a read = %q, want %q", all, want)
			}
		}
	}
	carry()
	write("2.5")
	carry("2.5")
	write("1.9")
	write("2.4") // an older position arrives late
	carry("1.9", "2.5")
	next = "2.8"
	if _, err := c.Import(t.Context(), []byte("{}\n{}\n")); err != nil {
		t.Fatal(err)
	}
	carry("1.9", "2.8", "7.3")
	for shard := range 2 * catalog.MaxPositions {
		write(fmt.Sprintf("%d.1", 100+shard))
	}
	if _, err := c.Search(t.Context(), catalog.Query{}); err != nil {
		t.Fatal(err)
	}
	if all, err := catalog.ParsePositions(sent); err != nil || len(all) > catalog.MaxPositions || !slices.Contains(all, catalog.Position{Shard: 100 + 2*catalog.MaxPositions - 1, Seq: 1}) {
		t.Fatalf("a read has %d positions, %v", len(all), err)
	}
}
