package gateway_test

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/wire"
)

func TestSearch(t *testing.T) {
	s := &system{}
	url := serve(t, s) + "/api/v1/products"
	t.Run("every parameter reaches the reader", func(t *testing.T) {
		w, body := call(t, "GET", url+"?q=oak&category=Furniture&brand=Oak+%26+Co&gtin=4006381333931&tag=new&currency=EUR&minPrice=1.5&maxPrice=20"+
			"&attribute=colour:black&facets=tag,brand,tag&facet=width&highlight=true&sort=price&limit=7", "", "Catalog-Position", "0.3, 0.5")
		if w.StatusCode != http.StatusOK {
			t.Fatalf("response %d %s", w.StatusCode, body)
		}
		q := wire.QueryFromProto(s.search)
		if q.Text != "oak" || q.Category != "Furniture" || q.Brand != "Oak & Co" || q.GTIN != "4006381333931" || q.Tag != "new" || q.Currency != "EUR" ||
			q.MinPrice.String() != "1.5" || q.MaxPrice.String() != "20" || q.Attributes["colour"] != "black" || !slices.Equal(q.Facets, []string{"tag", "brand"}) || len(q.FacetAttributes) != 1 || !q.Highlight || q.Sort != "price" || q.Limit != 7 || len(s.search.GetPositions()) != 2 {
			t.Errorf("the reader gets %+v at %v", q, s.search.GetPositions())
		}
	})
	for name, query := range map[string]string{
		"gtin":      "?gtin=4006381333932", // a wrong check digit
		"attribute": "?attribute=colour",
		"minPrice":  "?minPrice=cheap",
		"brand":     "?brand=" + strings.Repeat("x", 101),
		"facets":    "?facets=category,colour",
	} {
		t.Run("an invalid "+name+" is rejected with its name", func(t *testing.T) {
			if w, body := call(t, "GET", url+query, ""); w.StatusCode != http.StatusBadRequest || !strings.Contains(body, `"field":"`+name+`","reason":"`) {
				t.Errorf("response %d %s", w.StatusCode, body)
			}
		})
	}
	for facets, want := range map[string][]string{"": nil, "?facets=false": nil, "?facets=true": catalog.FacetFields()} {
		t.Run("the facets of "+cmp.Or(facets, "no parameter"), func(t *testing.T) {
			call(t, "GET", url+facets, "")
			if got := wire.QueryFromProto(s.search).Facets; !slices.Equal(got, want) {
				t.Errorf("facets %q; want %q", got, want)
			}
		})
	}
	t.Run("two values for one attribute are rejected", func(t *testing.T) {
		if w, _ := call(t, "GET", url+"?attribute=colour:black&attribute=colour:red", ""); w.StatusCode != http.StatusBadRequest {
			t.Errorf("status %d, want 400", w.StatusCode)
		}
	})
}
