package opensearch

import (
	"testing"

	"catalog"
	"catalog/internal/textsearch"
)

func TestIndexDefinition(t *testing.T) {
	definition := (&Index{shards: 3}).indexDefinition("a", "b")
	if aliases := definition["aliases"].(map[string]any); len(aliases) != 2 {
		t.Errorf("aliases %v; want a and b", aliases)
	}
	properties := definition["mappings"].(map[string]any)["properties"].(map[string]any)
	mapping := func(field string) (mapped, docValues bool) {
		m, ok := properties[field].(map[string]any)
		return ok, ok && m["doc_values"] != false
	}
	t.Run("every field of a document is mapped, since others cannot be searched", func(t *testing.T) {
		d, err := newDocument(catalog.Product{Version: 1, ProductData: catalog.ProductData{
			SKU: "s", GTIN: "4006381333931", Name: "n", Brand: "b", Description: "d", Category: "c", Tags: []string{"t"}, Attributes: map[string]string{"a": "1"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		for field := range d {
			if mapped, _ := mapping(field); !mapped && field != fieldProduct {
				t.Errorf("field %s has no mapping", field)
			}
		}
	})
	t.Run("fields to sort and count by have doc values", func(t *testing.T) {
		for _, f := range textsearch.FieldTypes() {
			if mapped, docValues := mapping(f.Name); !mapped || docValues != (f.Sorted || f.Facet) {
				t.Errorf("field %s: doc values %v; want %v", f.Name, docValues, f.Sorted || f.Facet)
			}
		}
		if _, docValues := mapping(fieldID); !docValues {
			t.Error("the id has no doc values")
		}
	})
}

func TestNewDocument_deleted(t *testing.T) {
	d, err := newDocument(catalog.Product{Version: 2, Deleted: true})
	if err != nil || len(d) != 1 || d[fieldState] != stateDeleted {
		t.Errorf("document %v, %v; want only the state", d, err)
	}
}
