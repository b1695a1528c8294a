package wire_test

import (
	"maps"
	"slices"
	"testing"

	"catalog"
	"catalog/internal/wire"
)

func TestNormalizeText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ field, text, want string }{
		{"sku", "SKU\u200b1\u00ad2\ufeff3\u202e4\u200d5", "SKU12345"},
		{"sku", "NF-e\u0301", "NF-é"},
		{"category", "Cafe\u0301\u200b/Bar", "Café/Bar"},
		{"tags", "soft\u00adhyphen", "softhyphen"},
		{"attributes", "brei\u200bte", "breite"},
		{"name", "Cafe\u0301 soft\u00adhyphen", "Café soft\u00adhyphen"},
		{"category", "👩\u200d👧 کتاب\u200cها", "👩\u200d👧 کتاب\u200cها"},
	} {
		if got := wire.NormalizeText(catalog.FieldByName(tt.field), tt.text); got != tt.want {
			t.Errorf("%s %+q = %+q; want %+q", tt.field, tt.text, got, tt.want)
		}
	}
	t.Run("bodies are normalized", func(t *testing.T) {
		_, p, err := wire.ParseRow([]byte(`{"sku":"A\u200b","category":"Cafe\u0301","tags":["e\u0301"],"attributes":{"e\u0301":"e\u0301"}}`))
		if err != nil || *p.SKU != "A" || *p.Category != "Café" || !slices.Equal(*p.Tags, []string{"é"}) || !slices.Equal(slices.Collect(maps.Keys(p.Attributes)), []string{"é"}) || *p.Attributes["é"] != "é" {
			t.Errorf("ParseRow = %+v, %v; want composed characters", p, err)
		}
	})
	t.Run("a text of invisible characters is refused, and does not clear the field", func(t *testing.T) {
		for _, body := range []string{`{"sku":"A","category":"\u200b"}`, `{"sku":"A","name":"\u200b \ufe0f"}`, `{"sku":"A","brand":"\u2060"}`, `{"sku":"\u200b","name":"x"}`, `{"sku":"A","tags":["\u200b"]}`, `{"sku":"A","attributes":{"\u200b":"x"}}`, `{"sku":"A","attributes":{"e\u0301":"x","é":"y"}}`} {
			if _, p, err := wire.ParseRow([]byte(body)); err == nil {
				t.Errorf("%s = %+v; want a refusal", body, p)
			}
		}
	})
}
