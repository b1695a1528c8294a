package wire

import (
	"catalog"
	catalogv1 "catalog/api/catalog/v1"
)

var sorts = map[catalog.Sort]catalogv1.Sort{
	"":                      catalogv1.Sort_SORT_UNSPECIFIED,
	catalog.Relevance:       catalogv1.Sort_SORT_RELEVANCE,
	catalog.ByName:          catalogv1.Sort_SORT_NAME,
	catalog.PriceAscending:  catalogv1.Sort_SORT_PRICE_ASC,
	catalog.PriceDescending: catalogv1.Sort_SORT_PRICE_DESC,
	catalog.Newest:          catalogv1.Sort_SORT_NEWEST,
}

// QueryToProto converts q to a request that waits until the reader has applied
// the given positions.
func QueryToProto(q catalog.Query, at ...catalog.Position) *catalogv1.SearchProductsRequest {
	return &catalogv1.SearchProductsRequest{
		Text: q.Text, Category: q.Category, Brand: q.Brand, Gtin: q.GTIN, Tag: q.Tag, Attributes: q.Attributes,
		MinPrice: DecimalToProto(q.MinPrice), MaxPrice: DecimalToProto(q.MaxPrice), Currency: q.Currency,
		Sort: sorts[q.Sort], Limit: int32(q.Limit), Cursor: q.Cursor, Facets: q.Facets,
		FacetAttributes: q.FacetAttributes, Highlight: q.Highlight, Positions: PositionsToProto(at),
	}
}

// PositionsToProto converts the positions to messages and leaves out zero ones.
func PositionsToProto(at []catalog.Position) (all []*catalogv1.Position) {
	for _, p := range at {
		if p != (catalog.Position{}) {
			all = append(all, PositionToProto(p))
		}
	}
	return all
}

// QueryFromProto converts m to a query.
func QueryFromProto(m *catalogv1.SearchProductsRequest) catalog.Query {
	q := catalog.Query{
		Text: m.GetText(), Category: m.GetCategory(), Brand: m.GetBrand(), GTIN: m.GetGtin(), Tag: m.GetTag(), Attributes: m.GetAttributes(),
		MinPrice: DecimalFromProto(m.GetMinPrice()), MaxPrice: DecimalFromProto(m.GetMaxPrice()), Currency: m.GetCurrency(),
		Limit: int(m.GetLimit()), Cursor: m.GetCursor(), Facets: m.GetFacets(),
		FacetAttributes: m.GetFacetAttributes(), Highlight: m.GetHighlight(),
	}
	for k, v := range sorts {
		if v == m.GetSort() {
			q.Sort = k
		}
	}
	return q
}

// PositionToProto converts p to a message; the zero Position becomes nil.
func PositionToProto(p catalog.Position) *catalogv1.Position {
	if p == (catalog.Position{}) {
		return nil
	}
	return &catalogv1.Position{Shard: p.Shard, Seq: p.Seq}
}

// PositionFromProto converts m to a position; nil becomes the zero Position.
func PositionFromProto(m *catalogv1.Position) catalog.Position {
	return catalog.Position{Shard: m.GetShard(), Seq: m.GetSeq()}
}

// PositionsFromProto converts the messages to positions.
func PositionsFromProto(m []*catalogv1.Position) []catalog.Position {
	all := make([]catalog.Position, len(m))
	for i := range m {
		all[i] = PositionFromProto(m[i])
	}
	return all
}

// PageToProto converts p to a message.
func PageToProto(p catalog.Page) *catalogv1.SearchProductsResponse {
	m := &catalogv1.SearchProductsResponse{
		Items: productsToProto(p.Items), Total: p.Total, NextCursor: p.NextCursor,
		Match: string(p.Match), Unmatched: p.Unmatched, DidYouMean: p.DidYouMean,
	}
	for _, c := range p.Corrections {
		m.Corrections = append(m.Corrections, &catalogv1.Correction{Word: c.Word, Correction: c.Correction})
	}
	for _, f := range p.Facets {
		m.Facets = append(m.Facets, &catalogv1.Facet{Field: f.Field, Attribute: f.Attribute, Values: facetValuesToProto(f.Values)})
	}
	for _, item := range p.Highlights {
		fields := &catalogv1.Highlights{}
		for _, h := range item {
			field := &catalogv1.Highlight{Field: h.Field}
			for _, f := range h.Fragments {
				field.Fragments = append(field.Fragments, &catalogv1.Fragment{Text: f.Text, Match: f.Match})
			}
			fields.Fields = append(fields.Fields, field)
		}
		m.Highlights = append(m.Highlights, fields)
	}
	return m
}

// PageFromProto converts m to a page.
func PageFromProto(m *catalogv1.SearchProductsResponse) (catalog.Page, error) {
	items, err := productsFromProto(m.GetItems())
	if err != nil {
		return catalog.Page{}, err
	}
	p := catalog.Page{
		Items: items, Total: m.GetTotal(), NextCursor: m.GetNextCursor(),
		Match: catalog.Match(m.GetMatch()), Unmatched: m.GetUnmatched(), DidYouMean: m.GetDidYouMean(),
	}
	for _, c := range m.GetCorrections() {
		p.Corrections = append(p.Corrections, catalog.Correction{Word: c.GetWord(), Correction: c.GetCorrection()})
	}
	for _, f := range m.GetFacets() {
		p.Facets = append(p.Facets, catalog.Facet{Field: f.GetField(), Attribute: f.GetAttribute(), Values: facetValuesFromProto(f.GetValues())})
	}
	for _, fields := range m.GetHighlights() {
		var item []catalog.Highlight
		for _, field := range fields.GetFields() {
			h := catalog.Highlight{Field: field.GetField()}
			for _, f := range field.GetFragments() {
				h.Fragments = append(h.Fragments, catalog.Fragment{Text: f.GetText(), Match: f.GetMatch()})
			}
			item = append(item, h)
		}
		p.Highlights = append(p.Highlights, item)
	}
	return p, nil
}

// SuggestionsToProto converts s to a message.
func SuggestionsToProto(s catalog.Suggestions) *catalogv1.SuggestProductsResponse {
	return &catalogv1.SuggestProductsResponse{Texts: s.Texts, Categories: facetValuesToProto(s.Categories), Products: productsToProto(s.Products)}
}

// SuggestionsFromProto converts m to suggestions.
func SuggestionsFromProto(m *catalogv1.SuggestProductsResponse) (catalog.Suggestions, error) {
	list, err := productsFromProto(m.GetProducts())
	return catalog.Suggestions{Texts: m.GetTexts(), Categories: facetValuesFromProto(m.GetCategories()), Products: list}, err
}

func productsToProto(list []catalog.Product) []*catalogv1.Product {
	all := make([]*catalogv1.Product, len(list))
	for i, p := range list {
		all[i] = ProductToProto(p)
	}
	return all
}

func productsFromProto(list []*catalogv1.Product) ([]catalog.Product, error) {
	all := make([]catalog.Product, len(list))
	for i, m := range list {
		var err error
		if all[i], err = ProductFromProto(m); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func facetValuesToProto(values []catalog.FacetValue) []*catalogv1.FacetValue {
	all := make([]*catalogv1.FacetValue, len(values))
	for i, v := range values {
		all[i] = &catalogv1.FacetValue{Value: v.Value, Count: v.Count}
	}
	return all
}

func facetValuesFromProto(list []*catalogv1.FacetValue) []catalog.FacetValue {
	all := make([]catalog.FacetValue, len(list))
	for i, m := range list {
		all[i] = catalog.FacetValue{Value: m.GetValue(), Count: m.GetCount()}
	}
	return all
}
