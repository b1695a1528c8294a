package client_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"testing"

	"catalog"
	"catalog/client"
)

// TestSearch sets one field of a Query after the other, by reflection: a field
// that the client does not send leaves no parameter.
func TestSearch(t *testing.T) {
	var sent url.Values
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.URL.Query()
		fmt.Fprint(w, `{"items":[],"total":0}`)
	}))
	defer server.Close()
	c := client.New(server.URL)
	for i := range reflect.TypeFor[catalog.Query]().NumField() {
		var q catalog.Query
		field := reflect.ValueOf(&q).Elem().Field(i)
		want := "x"
		switch f := field.Addr().Interface().(type) {
		case *string:
			*f = want
		case *catalog.Sort:
			*f = catalog.Sort(want)
		case *bool:
			*f, want = true, "true"
		case *int:
			*f, want = 7, "7"
		case **catalog.Decimal:
			*f, want = &catalog.Decimal{Units: 7}, "7"
		case *[]string:
			*f = []string{want}
		case *map[string]string:
			*f, want = map[string]string{"width": "45"}, "width:45"
		default:
			t.Fatalf("no rule to set a %s: add one", field.Type())
		}
		if _, err := c.Search(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if len(sent) != 1 {
			t.Fatalf("Search with %s sends %v; want one parameter", reflect.TypeFor[catalog.Query]().Field(i).Name, sent)
		}
		for name, values := range sent {
			if len(values) != 1 || values[0] != want {
				t.Errorf("parameter %s = %q; want %q", name, values, want)
			}
		}
	}
}
