package textsearch

import "catalog"

// SortOrder is the order of the products of a page: by a field or by score, then by id.
type SortOrder struct {
	Field        string // Price, Created or Title; "" to sort by score
	Descending   bool
	IDDescending bool // products with equal keys are in descending order of their ids
}

// ByScore is the order of best matches first.
func ByScore() SortOrder { return SortOrder{Descending: true} }

// parseSort returns the order that q asks for. The default is relevance with text, else newest.
func parseSort(q catalog.Query) (SortOrder, error) {
	by := q.Sort
	if by == "" || by == catalog.Relevance && q.Text == "" {
		by = catalog.Newest
		if q.Text != "" {
			by = catalog.Relevance
		}
	}
	switch by {
	case catalog.Relevance:
		return ByScore(), nil
	case catalog.ByName:
		return SortOrder{Field: Title}, nil
	case catalog.PriceAscending:
		return SortOrder{Field: Price}, nil
	case catalog.PriceDescending:
		return SortOrder{Field: Price, Descending: true}, nil
	case catalog.Newest:
		return SortOrder{Field: Created, Descending: true, IDDescending: true}, nil
	}
	return SortOrder{}, catalog.Invalid("sort", "must be one of relevance, name, price, -price and newest")
}
