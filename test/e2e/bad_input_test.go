package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// productWith returns valid product data as JSON, with further members.
func productWith(members string) string {
	return `{"name":"Chair","price":{"amount":"1","currency":"EUR"},` + members + `}`
}

func xs(n int) string { return strings.Repeat("x", n) }

func TestBadInput(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	id, at := s.create(chair)
	product := "/api/v1/products/" + id
	before := s.must(http.StatusOK, "GET", product, "", "Catalog-Position", at)
	const products = "/api/v1/products"
	many := func(n int, item string) string {
		return strings.TrimSuffix(strings.Repeat(item+",", n), ",")
	}
	attributes := make([]string, 101)
	for i := range attributes {
		attributes[i] = fmt.Sprintf(`"k%d":"v"`, i)
	}
	cursor := s.must(http.StatusOK, "GET", products+"?sort=name&limit=1", "").json(t)["nextCursor"]
	s.create(strings.Replace(chair, "CHA-7", "CHA-8", 1))
	eventually(t, "there is a second page", func() bool {
		cursor = s.must(http.StatusOK, "GET", products+"?sort=name&limit=1", "").json(t)["nextCursor"]
		return cursor != nil
	})

	for _, test := range []struct {
		name         string
		method, path string
		body         string
		headers      []string
		status       int
		field        string // field that the problem names; "" for none
	}{
		// Bodies.
		{"an empty body", "POST", products, " ", nil, 400, "body"},
		{"a body that is not JSON", "POST", products, "name=chair", nil, 400, "body"},
		{"a body that is cut off", "POST", products, `{"name":"x"`, nil, 400, "body"},
		{"data after the body", "POST", products, productWith(`"sku":"A"`) + "{}", nil, 400, "body"},
		{"a list", "POST", products, "[]", nil, 400, "body"},
		{"NaN", "POST", products, `{"name":"x","price":{"amount":NaN,"currency":"EUR"}}`, nil, 400, "body"},
		{"bad UTF-8", "POST", products, "{\"name\":\"\xff\"}", nil, 400, "body"},
		{"deep nesting", "POST", products, `{"name":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + "}", nil, 400, "body"},
		{"a member twice", "POST", products, `{"name":"x","name":"y","price":{"amount":"1","currency":"EUR"}}`, nil, 400, "name"},
		{"a body of 5 MB", "POST", products, productWith(`"description":"` + xs(5<<20) + `"`), nil, 413, ""},
		{"another content type", "POST", products, "<a/>", []string{"Content-Type", "application/xml"}, 415, "Content-Type"},
		{"another charset", "POST", products, chair, []string{"Content-Type", "application/json; charset=latin1"}, 415, "Content-Type"},
		{"a form", "POST", products, "name=x", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "Content-Type"},
		// Fields.
		{"an unknown field", "POST", products, productWith(`"nmae":"x"`), nil, 400, "nmae"},
		{"an id in the body", "PUT", product, productWith(`"id":"0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"`), nil, 400, "id"},
		{"a version in the body", "PATCH", product, `{"version":7}`, nil, 400, "version"},
		{"no name", "POST", products, `{"price":{"amount":"1","currency":"EUR"}}`, nil, 400, "name"},
		{"a blank name", "POST", products, `{"name":"  ","price":{"amount":"1","currency":"EUR"}}`, nil, 400, "name"},
		{"a name of 251 characters", "PATCH", product, `{"name":"` + xs(251) + `"}`, nil, 400, "name"},
		{"a name with a line break", "PATCH", product, `{"name":"a\nb"}`, nil, 400, "name"},
		{"a name that is null", "PATCH", product, `{"name":null}`, nil, 400, "name"},
		{"a name that is a number", "PATCH", product, `{"name":7}`, nil, 400, "name"},
		{"an SKU of 65 characters", "PATCH", product, `{"sku":"` + xs(65) + `"}`, nil, 400, "sku"},
		{"a description of 5,001 characters", "PATCH", product, `{"description":"` + xs(5001) + `"}`, nil, 400, "description"},
		{"a category with an empty part", "PATCH", product, `{"category":"Furniture//Chairs"}`, nil, 400, "category"},
		{"a price that is a number", "PATCH", product, `{"price":149.9}`, nil, 400, "price"},
		{"an amount that is a number", "PATCH", product, `{"price":{"amount":149.9}}`, nil, 400, "price.amount"},
		{"an amount of 1e308", "PATCH", product, `{"price":{"amount":"1e308"}}`, nil, 400, "price.amount"},
		{"a huge amount", "PATCH", product, `{"price":{"amount":"1000000000000000"}}`, nil, 400, "price.amount"},
		{"a negative amount", "PATCH", product, `{"price":{"amount":"-1"}}`, nil, 400, "price.amount"},
		{"an amount with a comma", "PATCH", product, `{"price":{"amount":"1,5"}}`, nil, 400, "price.amount"},
		{"ten digits after the point", "PATCH", product, `{"price":{"amount":"1.0123456789"}}`, nil, 400, "price.amount"},
		{"more digits than the currency has", "POST", products, `{"name":"x","price":{"amount":"1.5","currency":"JPY"}}`, nil, 400, "price.amount"},
		{"more digits than the product's currency has", "PATCH", product, `{"price":{"amount":"1.555"}}`, nil, 400, "price.amount"},
		{"a currency that does not exist", "PATCH", product, `{"price":{"currency":"EUX"}}`, nil, 400, "price.currency"},
		{"a price that is null", "PATCH", product, `{"price":null}`, nil, 400, "price"},
		{"an unknown member of the price", "PATCH", product, `{"price":{"cents":1}}`, nil, 400, "price.cents"},
		{"51 tags", "PATCH", product, `{"tags":[` + many(51, `"x"`) + `]}`, nil, 400, "tags"},
		{"a tag twice", "PATCH", product, `{"tags":["a","a"]}`, nil, 400, "tags[1]"},
		{"a tag that is a number", "PATCH", product, `{"tags":["a",1]}`, nil, 400, "tags[1]"},
		{"tags that are a text", "PATCH", product, `{"tags":"a,b"}`, nil, 400, "tags"},
		{"101 attributes", "POST", products, productWith(`"attributes":{` + strings.Join(attributes, ",") + `}`), nil, 400, "attributes"},
		{"an attribute that is a number", "PATCH", product, `{"attributes":{"width":45}}`, nil, 400, "attributes.width"},
		{"attributes that are a list", "PATCH", product, `{"attributes":["width"]}`, nil, 400, "attributes"},
		{"an SKU of another product", "PATCH", product, `{"sku":"CHA-8"}`, nil, 409, "sku"},
		// Addresses, parameters, headers.
		{"an id that is no UUID", "GET", products + "/7", "", nil, 400, "id"},
		{"the nil UUID", "GET", products + "/00000000-0000-0000-0000-000000000000", "", nil, 400, "id"},
		{"an unknown product", "GET", products + "/0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b", "", nil, 404, ""},
		{"a page of none", "GET", products + "?limit=0", "", nil, 400, "limit"},
		{"a page of 101", "GET", products + "?limit=101", "", nil, 400, "limit"},
		{"a page of -1", "GET", products + "?limit=-1", "", nil, 400, "limit"},
		{"a page of 1e9", "GET", products + "?limit=1e9", "", nil, 400, "limit"},
		{"a huge page", "GET", products + "?limit=99999999999999999999", "", nil, 400, "limit"},
		{"a parameter that is not known", "GET", products + "?size=5", "", nil, 400, "size"},
		{"a parameter twice", "GET", products + "?q=a&q=b", "", nil, 400, "q"},
		{"a sort that is not known", "GET", products + "?sort=colour", "", nil, 400, "sort"},
		{"facets that are maybe", "GET", products + "?facets=maybe", "", nil, 400, "facets"},
		{"a text of 201 characters", "GET", products + "?q=" + xs(201), "", nil, 400, "q"},
		{"a text that is not UTF-8", "GET", products + "?q=%ff", "", nil, 400, "q"},
		{"a price range without a currency", "GET", products + "?minPrice=1", "", nil, 400, "currency"},
		{"a price range upside down", "GET", products + "?minPrice=2&maxPrice=1&currency=EUR", "", nil, 400, "minPrice"},
		{"a price that is no number", "GET", products + "?minPrice=cheap&currency=EUR", "", nil, 400, "minPrice"},
		{"a broken cursor", "GET", products + "?cursor=%21%21", "", nil, 400, "cursor"},
		{"a cursor of another query", "GET", products + "?sort=price&limit=1&cursor=" + url.QueryEscape(fmt.Sprint(cursor)), "", nil, 400, "cursor"},
		{"eleven versions", "PATCH", product, `{"name":"x"}`, []string{"If-Match", `"1"` + strings.Repeat(`, "2"`, 10)}, 400, "If-Match"},
		{"a version that is not quoted", "PATCH", product, `{"name":"x"}`, []string{"If-Match", "7"}, 400, "If-Match"},
		{"an If-None-Match of a write that is not *", "PUT", product, chair, []string{"If-None-Match", `"7"`}, 400, "If-None-Match"},
		{"a key of 201 characters", "POST", products, chair, []string{"Idempotency-Key", xs(201)}, 400, "Idempotency-Key"},
		{"a key with a blank", "POST", products, chair, []string{"Idempotency-Key", "a b"}, 400, "Idempotency-Key"},
		{"a broken position", "GET", product, "", []string{"Catalog-Position", "yesterday"}, 400, "Catalog-Position"},
		{"a receipt wait of 31 s", "GET", "/api/v1/commands/" + id + "?wait=31", "", nil, 400, "wait"},
		{"suggestions for a long text", "GET", "/api/v1/suggest?q=" + xs(201), "", nil, 400, "q"},
		{"21 suggestions", "GET", "/api/v1/suggest?q=a&limit=21", "", nil, 400, "limit"},
		{"11 attributes to count", "GET", products + "?facet=a" + strings.Repeat("&facet=a", 10), "", nil, 400, "facet"},
		{"a highlight that is no boolean", "GET", products + "?highlight=maybe", "", nil, 400, "highlight"},
		{"an unknown command", "GET", "/api/v1/commands/0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b", "", nil, 404, ""},
		{"an unknown path", "GET", "/api/v2/products", "", nil, 404, ""},
		{"an unknown method", "DELETE", products, "", nil, 405, ""},
		{"an import that is a form", "POST", "/api/v1/imports", "{}", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "Content-Type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := s.call(test.method, test.path, test.body, test.headers...)
			var problem struct {
				Status      int
				Code, Title string
				Errors      []struct{ Field, Reason string }
			}
			if err := json.Unmarshal([]byte(a.body), &problem); err != nil {
				t.Fatalf("status %d, and the body is no problem document: %s", a.status, a.body)
			}
			if a.status != test.status || problem.Status != test.status || problem.Code == "" || problem.Title == "" || a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("status = %d %s; want %d: %s", a.status, a.header.Get("Content-Type"), test.status, a.body)
			}
			named := test.field == ""
			for _, e := range problem.Errors {
				named = named || e.Field == test.field && e.Reason != ""
			}
			if !named {
				t.Errorf("the problem does not name %s: %s", test.field, a.body)
			}
		})
	}
	t.Run("nothing has changed", func(t *testing.T) {
		if after := s.must(http.StatusOK, "GET", product, ""); after.body != before.body {
			t.Errorf("the product was %s; now %s", before.body, after.body)
		}
		if total := s.must(http.StatusOK, "GET", products, "").json(t)["total"]; total != 2.0 {
			t.Errorf("total = %v; want 2", total)
		}
	})
	t.Run("a header that is too large is refused", func(t *testing.T) {
		if a := s.call("GET", products, "", "X-Large", xs(64<<10)); a.status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status = %d; want 431", a.status)
		}
	})
}

func TestBadInput_searchText(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	_, position := s.create(chair)
	for _, text := range []string{
		"[", "]", "(", ")", "{", "}", "*", "**", ".*", "^", "$", `\`, `"`, "'", "`", "?", "+", "-", "--", "|", "&&", "||", "!", "~", ":", ";", "/", "<", ">", "=", "@", "#", "%",
		`"unclosed`, "name:chair", "+chair -chair", "chair~2", "chair^1000", "/.*/", "(((((((((", "[a-z]{1000}", "'; DROP TABLE products; --", "$where", `{"$gt":""}`,
		strings.Repeat("*", 200), strings.Repeat("a ", 100), strings.Repeat("é", 200), "\u202e\u200b\u0301", "💺", "漢字", "../../etc/passwd", "{{7*7}}", "%00",
	} {
		for _, path := range []string{"/api/v1/products?highlight=true&q=", "/api/v1/suggest?q="} {
			if a := s.call("GET", path+url.QueryEscape(text), "", "Catalog-Position", position); a.status != http.StatusOK {
				t.Errorf("GET %s%q = %d: %s", path, text, a.status, a.body)
			}
		}
	}
	if found := s.must(http.StatusOK, "GET", "/api/v1/products?q="+url.QueryEscape(`[folding] "chair"`), "").json(t)["total"]; found != 1.0 {
		t.Errorf("search with brackets and quotes: total = %v; want 1", found)
	}
}
