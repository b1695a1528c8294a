package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"catalog"
	"catalog/client"
	"catalog/internal/wire"
)

const productManual = `product ACTION [flags] …

  catalog product get ID|SKU [-version N | -at 2026-03-01T09:30:00Z]
  catalog product create -name NAME -price '149.90 EUR' [-sku …] [-category …] [-description …] [-tag …] [-attribute key=value]
  catalog product update ID|SKU [the same flags; only what is given changes]
  catalog product delete ID|SKU
  catalog product search WORDS… [-category …] [-tag …] [-attribute key=value]
  catalog product suggest WORDS…
  catalog product history ID|SKU
  catalog product restore ID|SKU -version N
  catalog product watch [ID|SKU] [-category …] [-after ID]

`

// product is `catalog product`.
func product(ctx context.Context, args []string) error {
	actions := map[string]func(context.Context, *productCall) error{
		"get": getProduct, "create": createProduct, "update": updateProduct,
		"delete": deleteProduct, "search": searchProducts, "suggest": suggestProducts, "history": productHistory, "restore": restoreProduct, "watch": watchProducts,
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if err := parse(flags("product", productManual), args); err != nil {
			return err
		}
		return wrongUsage("say what to do: %s", strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
	}
	action, ok := actions[args[0]]
	if !ok {
		return wrongUsage("%q is not one of %s", args[0], strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
	}
	p := productCall{out: os.Stdout}
	fs := flags("product "+args[0], productManual)
	var server string
	serverFlag(fs, &server)
	p.flags(fs)
	// Flags may stand before and behind what the action is about.
	for rest := args[1:]; ; {
		if err := parse(fs, rest); err != nil {
			return err
		}
		if rest = fs.Args(); len(rest) == 0 {
			break
		}
		p.about, rest = append(p.about, rest[0]), rest[1:]
	}
	fs.Visit(func(f *flag.Flag) { p.given = append(p.given, f.Name) })
	p.client = client.New(server)
	return action(ctx, &p)
}

// productCall is one call of `catalog product`.
type productCall struct {
	client *client.Client
	out    io.Writer
	about  []string // what the action is about
	given  []string // flags that were given

	json                                    bool
	sku, name, description, price, category string
	tags, attributes                        texts
	ifVersion, version                      int64
	at, after                               string
}

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string { return strings.Join(*t, ", ") }

func (t *texts) Set(s string) error {
	*t = append(*t, s)
	return nil
}

func (p *productCall) flags(fs *flag.FlagSet) {
	fs.BoolVar(&p.json, "json", false, "answer in JSON")
	fs.StringVar(&p.sku, "sku", "", "the shop's own `number`")
	fs.StringVar(&p.name, "name", "", "`name`")
	fs.StringVar(&p.description, "description", "", "`text`")
	fs.StringVar(&p.price, "price", "", "`amount` and currency, such as '149.90 EUR'")
	fs.StringVar(&p.category, "category", "", "`path`, such as Furniture/Chairs")
	fs.Var(&p.tags, "tag", "`tag`; may be given several times")
	fs.Var(&p.attributes, "attribute", "`key=value`; may be given several times; key= removes it")
	fs.Int64Var(&p.version, "version", 0, "the product as it was at this `version`")
	fs.StringVar(&p.at, "at", "", "the product as it was at this `time`, such as 2026-03-01T09:30:00Z")
	fs.StringVar(&p.after, "after", "", "`id` of a change, behind which to go on; 0 for all there have ever been")
	fs.Int64Var(&p.ifVersion, "if-version", 0, "do it only if the product is at this `version`")
}

// patch is what the flags say, as a merge patch.
func (p *productCall) patch() (json.RawMessage, error) {
	o := map[string]any{}
	for _, f := range p.given {
		switch f {
		case "sku":
			o["sku"] = nullable(p.sku)
		case "name":
			o["name"] = p.name
		case "description":
			o["description"] = nullable(p.description)
		case "category":
			o["category"] = nullable(p.category)
		case "price":
			amount, currency, ok := strings.Cut(p.price, " ")
			price := map[string]string{"amount": amount}
			if ok {
				price["currency"] = strings.TrimSpace(currency)
			}
			o["price"] = price
		case "tag":
			o["tags"] = p.tags
		case "attribute":
			attributes := map[string]any{}
			for _, a := range p.attributes {
				k, v, ok := strings.Cut(a, "=")
				if !ok {
					return nil, wrongUsage("-attribute %q is not key=value", a)
				}
				attributes[k] = nullable(v)
			}
			o["attributes"] = attributes
		}
	}
	return json.Marshal(o)
}

// id finds the product that the action is about, by id or by SKU.
func (p *productCall) id(ctx context.Context) (catalog.ID, error) {
	if len(p.about) != 1 {
		return catalog.ID{}, wrongUsage("give one product, by its id or its SKU")
	}
	if id, err := catalog.ParseID(p.about[0]); err == nil {
		return id, nil
	}
	page, err := p.client.Search(ctx, catalog.Query{Text: p.about[0], Limit: 1})
	if err != nil {
		return catalog.ID{}, err
	}
	if len(page.Items) == 0 || !strings.EqualFold(page.Items[0].SKU, p.about[0]) {
		return catalog.ID{}, fmt.Errorf("there is no product with the id or SKU %q", p.about[0])
	}
	return page.Items[0].ID, nil
}

func getProduct(ctx context.Context, p *productCall) error {
	id, err := p.id(ctx)
	if err != nil {
		return err
	}
	var found catalog.Product
	switch {
	case p.version != 0 && p.at != "":
		return wrongUsage("give -version or -at, not both")
	case p.version != 0:
		found, err = p.client.ProductAs(ctx, id, p.version)
	case p.at != "":
		at, wrong := time.Parse(time.RFC3339, p.at)
		if wrong != nil {
			return wrongUsage("-at %q is not a time such as 2026-03-01T09:30:00Z", p.at)
		}
		found, err = p.client.ProductAt(ctx, id, at)
	default:
		found, err = p.client.Product(ctx, id)
	}
	if err != nil {
		return err
	}
	return p.print(found)
}

func createProduct(ctx context.Context, p *productCall) error {
	if len(p.about) > 0 {
		return wrongUsage("%q is not a flag", p.about[0])
	}
	body, err := p.patch()
	if err != nil {
		return err
	}
	draft, err := wire.ParseProductData(body)
	if err != nil {
		return err
	}
	w, err := p.client.Create(ctx, draft)
	if err != nil {
		return err
	}
	return p.print(w.Product)
}

func updateProduct(ctx context.Context, p *productCall) error {
	id, err := p.id(ctx)
	if err != nil {
		return err
	}
	body, err := p.patch()
	if err != nil {
		return err
	}
	if string(body) == "{}" {
		return wrongUsage("give what to change, such as -price '129.90 EUR'")
	}
	w, err := p.client.Patch(ctx, id, body, p.ifVersion)
	if err != nil {
		return err
	}
	return p.print(w.Product)
}

func deleteProduct(ctx context.Context, p *productCall) error {
	id, err := p.id(ctx)
	if err != nil {
		return err
	}
	if _, err := p.client.Delete(ctx, id, p.ifVersion); err != nil {
		return err
	}
	fmt.Fprintln(p.out, "deleted", id)
	return nil
}

func searchProducts(ctx context.Context, p *productCall) error {
	q := catalog.Query{Text: strings.Join(p.about, " "), Category: p.category, Attributes: map[string]string{}, Limit: catalog.DefaultLimit}
	if len(p.tags) > 1 {
		return wrongUsage("products are found by one tag")
	}
	q.Tag = strings.Join(p.tags, "")
	for _, a := range p.attributes {
		key, value, ok := strings.Cut(a, "=")
		if !ok {
			return wrongUsage("-attribute %s: must be key=value", a)
		}
		q.Attributes[key] = value
	}
	page, err := p.client.Search(ctx, q)
	if err != nil {
		return err
	}
	if p.json {
		return p.encode(wire.PageToJSON(page))
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, item := range page.Items {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s %s\n", item.ID, item.SKU, item.Name, item.Price.Amount(), item.Price.Currency)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%d of %d\n", len(page.Items), page.Total)
	if page.DidYouMean != "" {
		fmt.Fprintf(p.out, "did you mean %q?\n", page.DidYouMean)
	}
	return nil
}

// suggestProducts prints what a search box would show.
func suggestProducts(ctx context.Context, p *productCall) error {
	s, err := p.client.Suggest(ctx, strings.Join(p.about, " "), catalog.DefaultSuggestions)
	if err != nil {
		return err
	}
	if p.json {
		return p.encode(wire.SuggestionsToJSON(s))
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

func productHistory(ctx context.Context, p *productCall) error {
	id, err := p.id(ctx)
	if err != nil {
		return err
	}
	versions, err := p.client.History(ctx, id)
	if err != nil {
		return err
	}
	if p.json {
		return p.encode(versions)
	}
	for _, v := range versions {
		fmt.Fprintf(p.out, "version %d  %s  %s  command %s\n", v.Version, v.At.Format("2006-01-02 15:04:05.000"), v.Outcome, v.CommandId)
		for _, c := range v.Changes {
			fmt.Fprintf(p.out, "    %s: %q → %q\n", c.Field, c.From, c.To)
		}
	}
	return nil
}

func restoreProduct(ctx context.Context, p *productCall) error {
	id, err := p.id(ctx)
	if err != nil {
		return err
	}
	if p.version == 0 {
		return wrongUsage("give the version to go back to, such as -version 3")
	}
	w, err := p.client.Restore(ctx, id, p.version, p.ifVersion)
	if err != nil {
		return err
	}
	return p.print(w.Product)
}

// watchProducts prints what changes until it is interrupted.
func watchProducts(ctx context.Context, p *productCall) error {
	w := client.Watch{Category: p.category, After: p.after}
	if len(p.about) > 0 {
		var err error
		if w.Product, err = p.id(ctx); err != nil {
			return err
		}
	}
	for change, err := range p.client.Changes(ctx, w) {
		switch {
		case ctx.Err() != nil: // which is how it ends
			return nil
		case err != nil:
			return err
		case p.json:
			line := map[string]any{"id": change.ID, "kind": change.Kind, "position": change.Position.String(), "at": change.At, "productId": change.Product.ID.String(), "version": change.Product.Version}
			if !change.Product.Deleted {
				line["product"] = wire.ProductToJSON(change.Product)
			}
			if err := json.NewEncoder(p.out).Encode(line); err != nil {
				return err
			}
			continue
		}
		item := change.Product
		fmt.Fprintf(p.out, "%s  %s  %s  version %d", change.At.Format("2006-01-02 15:04:05.000"), change.Kind, item.ID, item.Version)
		if !item.Deleted {
			fmt.Fprintf(p.out, "  %s  %s %s", item.Name, item.Price.Amount(), item.Price.Currency)
		}
		fmt.Fprintln(p.out)
	}
	return nil
}

func (p *productCall) print(item catalog.Product) error {
	if p.json {
		return p.encode(wire.ProductToJSON(item))
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, strings.ReplaceAll(value, "\n", " "))
		}
	}
	line("id", item.ID.String())
	line("sku", item.SKU)
	line("name", item.Name)
	line("price", item.Price.Amount()+" "+item.Price.Currency)
	if lowest, ok := item.LowestPrior(); ok {
		line("lowest in 30 days", lowest.Amount()+" "+lowest.Currency)
	}
	line("category", item.Category)
	line("tags", strings.Join(item.Tags, ", "))
	line("description", item.Description)
	for _, k := range slices.Sorted(maps.Keys(item.Attributes)) {
		line(k, item.Attributes[k])
	}
	line("version", fmt.Sprint(item.Version))
	line("changed", item.UpdatedAt.Format("2006-01-02 15:04:05 MST"))
	return t.Flush()
}

func (p *productCall) encode(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
