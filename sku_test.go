package catalog_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catalog"
)

func TestSKUKey(t *testing.T) {
	t.Parallel()
	t.Run("SKUs have one key if they differ only in case", func(t *testing.T) {
		for _, same := range [][]string{{"AB-1", "ab-1", "Ab-1"}, {"Äé-1", "äÉ-1"}, {"ΣΑΣ", "σας", "σασ"}, {"K", "k", "\u212a"}, {"Ж9", "ж9"}} {
			for _, sku := range same[1:] {
				if catalog.SKUKey(sku) != catalog.SKUKey(same[0]) {
					t.Errorf("%q and %q have the keys %q and %q", same[0], sku, catalog.SKUKey(same[0]), catalog.SKUKey(sku))
				}
			}
		}
	})
	t.Run("keys are equal exactly when strings.EqualFold holds", func(t *testing.T) {
		alphabet := rapid.SampledFrom([]rune("abkKſsSßẞäÄéEİıiI1-Ωω\u2126ǅǆ"))
		rapid.Check(t, func(t *rapid.T) {
			sku := rapid.StringOfN(alphabet, 0, 4, -1)
			a, b := sku.Draw(t, "a"), sku.Draw(t, "b")
			if got, want := catalog.SKUKey(a) == catalog.SKUKey(b), strings.EqualFold(a, b); got != want {
				t.Errorf("%q and %q: one key is %v; want %v", a, b, got, want)
			}
			if key := catalog.SKUKey(a); catalog.SKUKey(key) != key {
				t.Errorf("the key of %q has another key, %q", key, catalog.SKUKey(key))
			}
		})
	})
}
