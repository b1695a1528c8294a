package wire

import (
	"catalog"
	catalogv1 "catalog/api/catalog/v1"
)

var sorts = map[catalog.Sort]catalogv1.Sort{
	"":                catalogv1.Sort_SORT_UNSPECIFIED,
	catalog.Relevance: catalogv1.Sort_SORT_RELEVANCE,
	catalog.ByName:    catalogv1.Sort_SORT_NAME,
	catalog.Cheapest:  catalogv1.Sort_SORT_PRICE_ASC,
	catalog.Dearest:   catalogv1.Sort_SORT_PRICE_DESC,
	catalog.Newest:    catalogv1.Sort_SORT_NEWEST,
}

// QueryMessage is q, to be answered no earlier than at the position, as a
// message.
func QueryMessage(q catalog.Query, at ...catalog.Position) *catalogv1.SearchProductsRequest {
	m := &catalogv1.SearchProductsRequest{
		Text: q.Text, Category: q.Category, Tag: q.Tag, Attributes: q.Attributes,
		MinPrice: DecimalMessage(q.MinPrice), MaxPrice: DecimalMessage(q.MaxPrice), Currency: q.Currency,
		Sort: sorts[q.Sort], Limit: int32(q.Limit), Cursor: q.Cursor, Facets: q.Facets,
	}
	for _, p := range at {
		if p != (catalog.Position{}) {
			m.Positions = append(m.Positions, PositionMessage(p))
		}
	}
	return m
}

// Query is m as a catalog type.
func Query(m *catalogv1.SearchProductsRequest) catalog.Query {
	q := catalog.Query{
		Text: m.GetText(), Category: m.GetCategory(), Tag: m.GetTag(), Attributes: m.GetAttributes(),
		MinPrice: Decimal(m.GetMinPrice()), MaxPrice: Decimal(m.GetMaxPrice()), Currency: m.GetCurrency(),
		Limit: int(m.GetLimit()), Cursor: m.GetCursor(), Facets: m.GetFacets(),
	}
	for k, v := range sorts {
		if v == m.GetSort() {
			q.Sort = k
		}
	}
	return q
}

// PositionMessage is p as a message; the zero Position is nil.
func PositionMessage(p catalog.Position) *catalogv1.Position {
	if p == (catalog.Position{}) {
		return nil
	}
	return &catalogv1.Position{Shard: p.Shard, Seq: p.Seq}
}

// Position is m as a catalog type; nil is the zero Position.
func Position(m *catalogv1.Position) catalog.Position {
	return catalog.Position{Shard: m.GetShard(), Seq: m.GetSeq()}
}

// Positions are the messages as a catalog type.
func Positions(m []*catalogv1.Position) []catalog.Position {
	all := make([]catalog.Position, len(m))
	for i := range m {
		all[i] = Position(m[i])
	}
	return all
}

// PageMessage is p as a message.
func PageMessage(p catalog.Page) *catalogv1.SearchProductsResponse {
	m := &catalogv1.SearchProductsResponse{Total: p.Total, NextCursor: p.NextCursor}
	for _, item := range p.Items {
		m.Items = append(m.Items, ProductMessage(item))
	}
	for _, f := range p.Facets {
		facet := &catalogv1.Facet{Field: f.Field}
		for _, v := range f.Values {
			facet.Values = append(facet.Values, &catalogv1.FacetValue{Value: v.Value, Count: v.Count})
		}
		m.Facets = append(m.Facets, facet)
	}
	return m
}

// Page is m as a catalog type.
func Page(m *catalogv1.SearchProductsResponse) (catalog.Page, error) {
	p := catalog.Page{Total: m.GetTotal(), NextCursor: m.GetNextCursor()}
	for _, item := range m.GetItems() {
		product, err := Product(item)
		if err != nil {
			return catalog.Page{}, err
		}
		p.Items = append(p.Items, product)
	}
	for _, f := range m.GetFacets() {
		facet := catalog.Facet{Field: f.GetField()}
		for _, v := range f.GetValues() {
			facet.Values = append(facet.Values, catalog.FacetValue{Value: v.GetValue(), Count: v.GetCount()})
		}
		p.Facets = append(p.Facets, facet)
	}
	return p, nil
}
