package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"catalog"
	"catalog/internal/wire"
)

func searchProducts(ctx context.Context, p *productCall) error {
	attributes, err := p.fields.pairs(catalog.FieldByName("attributes"))
	if err != nil {
		return err
	}
	if len(*p.fields.values["tags"]) > 1 {
		return wrongUsage("give one -tag; a search cannot combine several")
	}
	q := catalog.Query{
		Text:     strings.Join(p.args, " "),
		Category: p.fields.text("category"), Brand: p.fields.text("brand"), GTIN: p.fields.text("gtin"), Tag: p.fields.text("tags"),
		Attributes: attributes, Limit: catalog.DefaultLimit,
	}
	page, err := p.client.Search(ctx, q)
	if err != nil {
		return err
	}
	if p.json {
		return p.encode(wire.PageToJSON(page, catalog.BeforeLastReduction))
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, item := range page.Items {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", item.ID, item.SKU, item.Name, money(item.Price))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%d of %d\n", len(page.Items), page.Total)
	for _, c := range page.Corrections {
		fmt.Fprintf(p.out, "no product has %q: searched for %q\n", c.Word, c.Correction)
	}
	if page.Match == catalog.MatchPartial {
		fmt.Fprintf(p.out, "no product has all words; without: %s\n", strings.Join(page.Unmatched, ", "))
	}
	if page.DidYouMean != "" {
		fmt.Fprintf(p.out, "did you mean %q?\n", page.DidYouMean)
	}
	return nil
}

// suggestProducts prints the suggestions for a search box.
func suggestProducts(ctx context.Context, p *productCall) error {
	s, err := p.client.Suggest(ctx, strings.Join(p.args, " "), catalog.DefaultSuggestions)
	if err != nil {
		return err
	}
	if p.json {
		return p.encode(wire.SuggestionsToJSON(s, catalog.BeforeLastReduction))
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, text := range s.Texts {
		fmt.Fprintf(t, "text\t%s\n", text)
	}
	for _, c := range s.Categories {
		fmt.Fprintf(t, "category\t%s\t%d\n", c.Value, c.Count)
	}
	for _, item := range s.Products {
		fmt.Fprintf(t, "product\t%s\t%s\t%s\n", item.Name, item.SKU, item.ID)
	}
	return t.Flush()
}
