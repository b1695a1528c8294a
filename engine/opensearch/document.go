package opensearch

import (
	"catalog"
	"catalog/internal/textsearch"
	"catalog/internal/wire"
)

// Fields beside those of package term.
const (
	fieldState   = "state"
	fieldID      = "id"      // to sort by
	fieldProduct = "product" // the product, kept only
)

// What a document is.
const (
	there    = "there"    // a product
	gone     = "gone"     // a tombstone, so that nothing older comes back
	progress = "progress" // of a shard
)

// document is a product as it is indexed: lists of terms, cut already.
func document(p catalog.Product) (map[string]any, error) {
	if !p.Exists() {
		return map[string]any{fieldState: gone}, nil
	}
	whole, err := wire.EncodeProduct(p)
	if err != nil {
		return nil, err
	}
	d := map[string]any{fieldState: there, fieldID: p.ID.String(), fieldProduct: whole, textsearch.Title: ""}
	for _, f := range textsearch.FieldsOf(p) {
		d[f.Name] = f.Terms
	}
	return d, nil
}

// shardProgress is the progress of a shard.
type shardProgress struct {
	State  string `json:"state"`
	Shard  int32  `json:"shard"`
	Seq    int64  `json:"seq"`
	Offset int64  `json:"offset"`
}

// definition is how a new index is made, with the names that it has.
func (x *Index) definition(aliases ...string) map[string]any {
	kept := map[string]any{"type": "keyword", "ignore_above": longest, "doc_values": false}
	sorted := map[string]any{"type": "keyword", "ignore_above": longest}
	properties := map[string]any{fieldState: kept, fieldID: sorted}
	for _, field := range []string{textsearch.Name, textsearch.Path, textsearch.Text, textsearch.NamePrefixes, textsearch.Prefixes, textsearch.Head, textsearch.SKU, textsearch.CategoryPath} {
		properties[field] = kept
	}
	for _, field := range []string{textsearch.Category, textsearch.Tag, textsearch.Attributes, textsearch.Currency, textsearch.Price, textsearch.Created, textsearch.Title} {
		properties[field] = sorted
	}
	names := map[string]any{}
	for _, name := range aliases {
		names[name] = struct{}{}
	}
	return map[string]any{
		"aliases": names,
		"settings": map[string]any{"index": map[string]any{
			"number_of_shards":     x.shards,
			"auto_expand_replicas": "0-1",
			"refresh_interval":     "-1", // who writes says when it can be found
			"gc_deletes":           "0s", // see Correct; nothing else is ever deleted
		}},
		"mappings": map[string]any{
			"dynamic":    false,
			"properties": properties,
			// The lists of terms are not kept: nobody reads them again.
			"_source": map[string]any{"includes": []string{fieldProduct, "shard", "seq", "offset"}},
		},
	}
}

// longest is how many characters a term may have. Lucene takes no more than
// 32,766 bytes, and nobody looks for a word as long as that.
const longest = 8_000
