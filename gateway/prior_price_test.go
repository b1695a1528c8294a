package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"catalog"
	"catalog/gateway"
)

func TestPriorPrice(t *testing.T) {
	for progressive, want := range map[bool]string{false: `"lowestPrice30d":{"amount":"80.00"`, true: `"lowestPrice30d":{"amount":"100.00"`} {
		t.Run(fmt.Sprintf("after two reductions, progressive %t", progressive), func(t *testing.T) {
			url := serveConfig(t, &system{}, gateway.Config{CacheSize: 1 << 20, MaxSubscribers: 8, ProgressiveReductions: progressive})
			path := url + "/api/v1/products/" + catalog.DerivedID("lamp").String()
			var written string
			for _, amount := range []string{"100", "80", "60"} {
				_, written = call(t, "PUT", path, fmt.Sprintf(`{"name":"Lamp","price":{"amount":%q,"currency":"EUR"}}`, amount))
			}
			_, read := call(t, "GET", path, "")
			_, version := call(t, "GET", path+"?version=3", "")
			for from, body := range map[string]string{"write": written, "read": read, "history": version} {
				if !strings.Contains(body, want) {
					t.Errorf("%s = %s; want %s", from, body, want)
				}
			}
		})
	}
}
