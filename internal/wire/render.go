package wire

import (
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"catalog"
	"catalog/api"
)

// ProductToJSON renders p as the contract defines it, with the lowest prior price that the
// policy selects.
func ProductToJSON(p catalog.Product, policy catalog.PriorPolicy) api.Product {
	m := api.Product{
		Id: uuid.UUID(p.ID), Sku: p.SKU, Gtin: p.GTIN, Name: p.Name, Brand: p.Brand, Description: p.Description,
		Price:    moneyToJSON(p.Price),
		Category: p.Category, Tags: p.Tags, Attributes: p.Attributes,
		Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
	if lowest, ok := p.LowestPrior(policy); ok {
		m.LowestPrice30d = moneyToJSON(lowest)
	}
	return m
}

// ProductFromJSON converts the product that a client receives. Its PastPrices hold
// only the lowest prior price, because the contract has no others.
func ProductFromJSON(m api.Product) (catalog.Product, error) {
	price, err := moneyFromJSON(m.Price)
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: price: %w", m.Id, err)
	}
	p := catalog.Product{
		ID: catalog.ID(m.Id),
		ProductData: catalog.ProductData{
			SKU: m.Sku, GTIN: m.Gtin, Name: m.Name, Brand: m.Brand, Description: m.Description,
			Price:    price,
			Category: m.Category, Tags: m.Tags, Attributes: m.Attributes,
		},
		Version: m.Version, CreatedAt: TruncateTime(m.CreatedAt), UpdatedAt: TruncateTime(m.UpdatedAt),
	}
	if m.LowestPrice30d.Currency != "" {
		lowest, err := moneyFromJSON(m.LowestPrice30d)
		if err != nil {
			return catalog.Product{}, fmt.Errorf("product %s: lowest price: %w", m.Id, err)
		}
		p.PastPrices = []catalog.PastPrice{{Money: lowest, Until: p.UpdatedAt}}
	}
	return p, nil
}

func moneyToJSON(m catalog.Money) api.Money {
	return api.Money{Amount: m.Amount(), Currency: m.Currency}
}

func moneyFromJSON(m api.Money) (catalog.Money, error) {
	amount, err := catalog.ParseDecimal(m.Amount)
	if err != nil {
		return catalog.Money{}, fmt.Errorf("amount %q %w", m.Amount, err)
	}
	return catalog.Money{Decimal: amount, Currency: m.Currency}, nil
}

// ProductDataToJSON renders d as the contract defines it.
func ProductDataToJSON(d catalog.ProductData) api.ProductData {
	return api.ProductData{
		Sku: d.SKU, Gtin: d.GTIN, Name: d.Name, Brand: d.Brand, Description: d.Description,
		Price:    moneyToJSON(d.Price),
		Category: d.Category, Tags: d.Tags, Attributes: d.Attributes,
	}
}

// PageToJSON renders p as ProductToJSON renders its products.
func PageToJSON(p catalog.Page, policy catalog.PriorPolicy) api.Page {
	m := api.Page{
		Items: productsToJSON(p.Items, policy), Total: p.Total, NextCursor: p.NextCursor,
		Match: api.PageMatch(p.Match), Unmatched: p.Unmatched, DidYouMean: p.DidYouMean,
	}
	for _, c := range p.Corrections {
		m.Corrections = append(m.Corrections, api.Correction{Word: c.Word, Correction: c.Correction})
	}
	for _, f := range p.Facets {
		m.Facets = append(m.Facets, api.Facet{Field: api.FacetField(f.Field), Attribute: f.Attribute, Values: facetValuesToJSON(f.Values)})
	}
	if p.Highlights != nil {
		m.Highlights = map[string]map[string][]api.Fragment{}
	}
	for i, item := range p.Highlights {
		fields := map[string][]api.Fragment{}
		for _, h := range item {
			for _, f := range h.Fragments {
				fields[h.Field] = append(fields[h.Field], api.Fragment{Text: f.Text, Match: f.Match})
			}
		}
		m.Highlights[p.Items[i].ID.String()] = fields
	}
	return m
}

// PageFromJSON converts the page that a client receives.
func PageFromJSON(m api.Page) (catalog.Page, error) {
	items, err := productsFromJSON(m.Items)
	if err != nil {
		return catalog.Page{}, err
	}
	p := catalog.Page{
		Items: items, Total: m.Total, NextCursor: m.NextCursor,
		Match: catalog.Match(m.Match), Unmatched: m.Unmatched, DidYouMean: m.DidYouMean,
	}
	for _, c := range m.Corrections {
		p.Corrections = append(p.Corrections, catalog.Correction{Word: c.Word, Correction: c.Correction})
	}
	for _, f := range m.Facets {
		p.Facets = append(p.Facets, catalog.Facet{Field: string(f.Field), Attribute: f.Attribute, Values: facetValuesFromJSON(f.Values)})
	}
	if m.Highlights == nil {
		return p, nil
	}
	for _, item := range items {
		var all []catalog.Highlight
		fields := m.Highlights[item.ID.String()]
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			h := catalog.Highlight{Field: field}
			for _, f := range fields[field] {
				h.Fragments = append(h.Fragments, catalog.Fragment{Text: f.Text, Match: f.Match})
			}
			all = append(all, h)
		}
		p.Highlights = append(p.Highlights, all)
	}
	return p, nil
}

// SuggestionsToJSON renders s as ProductToJSON renders its products.
func SuggestionsToJSON(s catalog.Suggestions, policy catalog.PriorPolicy) api.Suggestions {
	return api.Suggestions{Texts: append([]string{}, s.Texts...), Categories: facetValuesToJSON(s.Categories), Products: productsToJSON(s.Products, policy)}
}

// SuggestionsFromJSON converts the suggestions that a client receives.
func SuggestionsFromJSON(m api.Suggestions) (catalog.Suggestions, error) {
	list, err := productsFromJSON(m.Products)
	return catalog.Suggestions{Texts: m.Texts, Categories: facetValuesFromJSON(m.Categories), Products: list}, err
}

func productsToJSON(list []catalog.Product, policy catalog.PriorPolicy) []api.Product {
	all := make([]api.Product, len(list))
	for i, p := range list {
		all[i] = ProductToJSON(p, policy)
	}
	return all
}

func productsFromJSON(list []api.Product) ([]catalog.Product, error) {
	all := make([]catalog.Product, len(list))
	for i, m := range list {
		var err error
		if all[i], err = ProductFromJSON(m); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func facetValuesToJSON(values []catalog.FacetValue) []api.FacetValue {
	all := make([]api.FacetValue, len(values))
	for i, v := range values {
		all[i] = api.FacetValue{Value: v.Value, Count: v.Count}
	}
	return all
}

func facetValuesFromJSON(list []api.FacetValue) []catalog.FacetValue {
	all := make([]catalog.FacetValue, len(list))
	for i, m := range list {
		all[i] = catalog.FacetValue{Value: m.Value, Count: m.Count}
	}
	return all
}

// HistoryToJSON renders the events of a product, newest first, as its history.
// Each version lists its changes to the version before it. With more set, older
// events exist: the last event then serves only as the base of the comparison. If
// it does not, the last event is compared with nothing, or, when older events are
// archived, not at all.
func HistoryToJSON(events []catalog.Event, more bool) api.History {
	h := api.History{Items: []api.Version{}}
	for i, e := range events {
		var before catalog.ProductData
		switch {
		case i+1 < len(events):
			before = events[i+1].Product.ProductData
		case more:
			h.NextBefore = e.Product.Version + 1
			return h
		case e.Product.Version > 1 || e.Command == (catalog.ID{}): // the version before, or the command, is archived
			h.ArchivedBelow = e.Product.Version
			before = e.Product.ProductData
		}
		h.Items = append(h.Items, api.Version{
			Version: e.Product.Version, Outcome: api.Outcome(e.Outcome), CommandId: uuid.UUID(e.Command),
			Position: e.Position.String(), Actor: e.Actor, At: e.SettledAt, TraceId: TraceID(e.Trace),
			Changes: changesToJSON(catalog.Diff(before, e.Product.ProductData)), VoidPrice: voidPriceToJSON(e.Void),
		})
	}
	return h
}

func voidPriceToJSON(v *catalog.VoidPrice) api.VoidPrice {
	if v == nil {
		return api.VoidPrice{}
	}
	return api.VoidPrice{Price: moneyToJSON(v.Price), Reason: v.Reason}
}

func changesToJSON(changes []catalog.Change) []api.Change {
	list := make([]api.Change, len(changes))
	for i, c := range changes {
		list[i] = api.Change{Field: c.Field, From: c.From, To: c.To}
	}
	return list
}
