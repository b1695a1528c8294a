package wire_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"catalog"
	"catalog/internal/wire"
)

func TestProductDataPayload(t *testing.T) {
	escapes := full(t)
	escapes.Description = "\"quoted\" \\ back\tslash\r\n<b>&amp;</b> \u2028 漢 👩‍🚀"
	escapes.Attributes = map[string]string{`"`: `\`, "": "", "é": "\n"}
	for name, want := range map[string]catalog.ProductData{"every field": full(t), "escaped text": escapes, "a tombstone": {}} {
		t.Run(name+" comes back exactly", func(t *testing.T) {
			b := wire.EncodeProductData(want)
			if got, err := wire.DecodeProductData(b); err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("DecodeProductData(%s) = %+v, %v; want %+v", b, got, err, want)
			}
		})
	}
	t.Run("the payload is the JSON of the HTTP API", func(t *testing.T) {
		want, err := json.Marshal(wire.ProductDataToJSON(full(t)))
		if got := wire.EncodeProductData(full(t)); err != nil || string(got) != string(want) {
			t.Fatalf("EncodeProductData = %s; want %s", got, want)
		}
	})
	t.Run("white space and order do not matter", func(t *testing.T) {
		b, _ := json.MarshalIndent(wire.ProductDataToJSON(full(t)), " ", "\t")
		if got, err := wire.DecodeProductData(b); err != nil || !reflect.DeepEqual(got, full(t)) {
			t.Fatalf("DecodeProductData(%s) = %+v, %v; want %+v", b, got, err, full(t))
		}
	})
	t.Run("invalid input is an error", func(t *testing.T) {
		for _, b := range []string{
			"", "{", "{}x", "[]", `{"name"}`, `{"name":1}`, `{"name":"x`, `{"name":"\`, `{"name":"\x"}`, `{"name":"x",}`, `{"name":"x" "sku":"y"}`,
			`{"unknown":"x"}`, `{"tags":["x"}`, `{"price":{"amount":"?","currency":"EUR"}}`, `{"attributes":{"k":null}}`,
		} {
			if d, err := wire.DecodeProductData([]byte(b)); err == nil {
				t.Errorf("DecodeProductData(%s) = %+v; want an error", b, d)
			}
		}
	})
}
