package textsearch_test

import (
	"bytes"
	"testing"

	"catalog"
	"catalog/internal/textsearch"
)

func TestCursor(t *testing.T) {
	last := textsearch.CursorKey{ID: catalog.DerivedID("p"), Key: []byte("key"), Widened: 5}
	q := catalog.Query{Text: "oak", Limit: 20}
	cursor := textsearch.EncodeCursor(q, last)
	decode := func(q catalog.Query) (*textsearch.CursorKey, error) {
		r, err := textsearch.DefaultRules().NewRequest(q)
		return r.After, err
	}
	t.Run("returns the position of the previous page", func(t *testing.T) {
		q := q
		q.Cursor = cursor
		if after, err := decode(q); err != nil || after == nil || after.ID != last.ID || !bytes.Equal(after.Key, last.Key) || after.Widened != last.Widened {
			t.Errorf("position %+v, %v; want %+v", after, err, last)
		}
	})
	t.Run("the first page has no position", func(t *testing.T) {
		if after, err := decode(q); err != nil || after != nil {
			t.Errorf("position %+v, %v; want none", after, err)
		}
	})
	t.Run("the next page may have another limit, facets and highlights", func(t *testing.T) {
		if _, err := decode(catalog.Query{Text: "oak", Limit: 5, Facets: catalog.FacetFields(), FacetAttributes: []string{"a"}, Highlight: true, Cursor: cursor}); err != nil {
			t.Error(err)
		}
	})
	for name, change := range map[string]func(q *catalog.Query){
		"text":      func(q *catalog.Query) { q.Text = "oaks" },
		"category":  func(q *catalog.Query) { q.Category = "A" },
		"brand":     func(q *catalog.Query) { q.Brand = "A" },
		"gtin":      func(q *catalog.Query) { q.GTIN = "4006381333931" },
		"tag":       func(q *catalog.Query) { q.Tag = "a" },
		"attribute": func(q *catalog.Query) { q.Attributes = map[string]string{"a": "b"} },
		"currency":  func(q *catalog.Query) { q.Currency = "EUR" },
		"sort":      func(q *catalog.Query) { q.Sort = catalog.Newest },
	} {
		t.Run("a query with another "+name+" is refused", func(t *testing.T) {
			q := q
			q.Cursor = cursor
			change(&q)
			_, err := decode(q)
			wantRefused(t, err, "cursor")
		})
	}
	t.Run("a changed or cut cursor is refused", func(t *testing.T) {
		for i := range cursor {
			q := q
			other := byte('A')
			if cursor[i] == 'A' {
				other = 'B'
			}
			for _, damaged := range []string{cursor[:i] + string(other) + cursor[i+1:], cursor[:i]} {
				if q.Cursor = damaged; damaged != "" {
					_, err := decode(q)
					wantRefused(t, err, "cursor")
				}
			}
		}
	})
}
