package opensearch

import (
	"catalog"
	"catalog/internal/textsearch"
	"catalog/internal/wire"
)

// Fields of this engine, beside those of package textsearch.
const (
	fieldState   = "state"
	fieldID      = "id"      // the id of the product, to sort by
	fieldProduct = "product" // the encoded product; stored, not indexed
)

// Values of fieldState.
const (
	stateProduct    = "product"
	stateDeleted    = "deleted"    // a tombstone, whose version keeps older writes out
	stateCheckpoint = "checkpoint" // checkpoint of a shard; not a product
)

// maxTerm is the longest term that is indexed, in characters. Lucene accepts at most 32,766 bytes,
// and a query's text is far shorter.
const maxTerm = 8_000

// newDocument returns the index document of p.
func newDocument(p catalog.Product) (map[string]any, error) {
	if !p.Exists() {
		return map[string]any{fieldState: stateDeleted}, nil
	}
	encoded, err := wire.EncodeProduct(p)
	if err != nil {
		return nil, err
	}
	d := map[string]any{fieldState: stateProduct, fieldID: p.ID.String(), fieldProduct: encoded, textsearch.Title: ""}
	for _, f := range textsearch.FieldsOf(p) {
		d[f.Name] = f.Terms
		if f.Facet {
			d[keyField(f.Name)] = facetKeys(f.Terms)
		}
	}
	return d, nil
}

// keyField returns the name of the field that holds the terms of a facet without their spellings.
func keyField(facet string) string { return facet + "_keys" }

// facetKeys returns the terms of a facet without their spellings.
func facetKeys(terms []string) []string {
	keys := make([]string, len(terms))
	for i, term := range terms {
		keys[i] = textsearch.WithoutSpelling(term)
	}
	return keys
}

// checkpointDocument is the document of a shard's checkpoint.
type checkpointDocument struct {
	State  string `json:"state"`
	Shard  int32  `json:"shard"`
	Seq    int64  `json:"seq"`
	Offset int64  `json:"offset"`
}

// indexDefinition returns the settings and mappings of a new index with the given aliases.
func (x *Index) indexDefinition(aliases ...string) map[string]any {
	indexed := map[string]any{"type": "keyword", "ignore_above": maxTerm, "doc_values": false}
	indexedWithValues := map[string]any{"type": "keyword", "ignore_above": maxTerm}
	properties := map[string]any{fieldState: indexed, fieldID: indexedWithValues}
	for _, f := range textsearch.FieldTypes() {
		properties[f.Name] = indexed
		if f.Sorted || f.Facet {
			properties[f.Name] = indexedWithValues
		}
		if f.Facet {
			properties[keyField(f.Name)] = indexedWithValues
		}
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
			"refresh_interval":     "-1",      // Apply refreshes
			"translog.durability":  "request", // a write is on disk before its response, whatever the cluster's default is
			"gc_deletes":           "0s",      // overwriteProduct depends on it; nothing else deletes documents
		}},
		"mappings": map[string]any{
			"dynamic":    false,
			"properties": properties,
			// The source keeps only what is read back. The lists of terms are never read.
			"_source": map[string]any{"includes": []string{fieldProduct, "shard", "seq", "offset"}},
		},
	}
}
