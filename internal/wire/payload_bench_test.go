package wire_test

import (
	"strings"
	"testing"

	"catalog"
	"catalog/internal/wire"
)

func BenchmarkProductDataPayload(b *testing.B) {
	d := catalog.ProductData{
		SKU: "SKU-1", Name: "Chair", Price: catalog.Money{Decimal: catalog.Decimal{Units: 149, Nanos: 900_000_000}, Currency: "EUR"},
		Description: strings.Repeat("Oak, oiled, with a seat of woven paper cord. ", 12), Category: "Furniture/Chairs", Tags: []string{"new", "oak"},
		Attributes: map[string]string{"width": "45", "height": "80", "colour": "oak", "material": "solid wood", "care": "oil once a year"},
	}
	payload := wire.EncodeProductData(d)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			wire.EncodeProductData(d)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = wire.DecodeProductData(payload)
		}
	})
}
