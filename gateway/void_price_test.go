package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"catalog"
)

func TestVoidPrice(t *testing.T) {
	url := serve(t, &system{})
	path := url + "/api/v1/products/" + catalog.DerivedID("lamp").String()
	for _, amount := range []string{"100", "1", "90"} {
		call(t, "PUT", path, fmt.Sprintf(`{"name":"Lamp","price":{"amount":%q,"currency":"EUR"}}`, amount))
	}
	const mistake = `{"price":{"amount":"1","currency":"EUR"},"reason":"typing error"}`
	for _, test := range []struct {
		name, body string
		headers    []string
		status     int
		has        string
	}{
		{"no reason", `{"price":{"amount":"1","currency":"EUR"}}`, nil, 400, `"reason"`},
		{"a blank reason", `{"price":{"amount":"1","currency":"EUR"},"reason":" "}`, nil, 400, `"reason"`},
		{"no price", `{"reason":"typing error"}`, nil, 400, `"price"`},
		{"no currency", `{"price":{"amount":"1"},"reason":"typing error"}`, nil, 400, `"price.currency"`},
		{"an unknown field", `{"price":{"amount":"1","currency":"EUR"},"reason":"x","name":"x"}`, nil, 400, `"name"`},
		{"a price that the product never had", `{"price":{"amount":"7","currency":"EUR"},"reason":"x"}`, nil, 400, "no past price"},
		{"If-Match of another version", mistake, []string{"If-Match", `"1"`}, 412, "version_mismatch"},
		{"a mistake", mistake, []string{"If-Match", `"3"`, "Idempotency-Key", "k"}, 200, `"lowestPrice30d":{"amount":"100.00"`},
		{"the same with the same key", mistake, []string{"If-Match", `"3"`, "Idempotency-Key", "k"}, 200, `"version":4`},
		{"the same again", mistake, nil, 400, "no past price"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if w, body := call(t, "POST", path+"/prices/void", test.body, test.headers...); w.StatusCode != test.status || !strings.Contains(body, test.has) {
				t.Errorf("response %d %s; want %d with %s", w.StatusCode, body, test.status, test.has)
			}
		})
	}
	t.Run("the history has price and reason", func(t *testing.T) {
		if _, body := call(t, "GET", path+"/history", ""); !strings.Contains(body, `"voidPrice":{"price":{"amount":"1.00","currency":"EUR"},"reason":"typing error"}`) {
			t.Errorf("history = %s", body)
		}
	})
}
