package client_test

import (
	"fmt"
	"net/http"
	"testing"

	"catalog"
)

func TestSearch(t *testing.T) {
	s, c := run(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"items":[],"total":0}`) })
	low, err := catalog.ParseDecimal("1.5")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Search(t.Context(), catalog.Query{
		Text: "oak", Category: "Furniture", Brand: "Oak & Co", GTIN: "4006381333931", Tag: "new", Currency: "EUR", MinPrice: &low, MaxPrice: &low,
		Attributes: map[string]string{"colour": "black"}, Sort: "price", Cursor: "c", Limit: 7, Facets: true, FacetAttributes: []string{"width"}, Highlight: true,
	})
	want := "attribute=colour%3Ablack&brand=Oak+%26+Co&category=Furniture&currency=EUR&cursor=c&facet=width&facets=true&gtin=4006381333931&highlight=true" +
		"&limit=7&maxPrice=1.5&minPrice=1.5&q=oak&sort=price&tag=new"
	if got := s.requests[0].URL.Query().Encode(); err != nil || got != want {
		t.Errorf("query %s, %v; want %s", got, err, want)
	}
}
