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
	"time"

	"catalog"
	"catalog/client"
	"catalog/internal/wire"
)

const productManual = `product ACTION [flags] …

  catalog product get ID|SKU [-version N | -at 2026-03-01T09:30:00Z]
  catalog product create -name NAME -price '149.90 EUR' [-sku …] [-brand …] [-tag …] [-attribute key=value] …
  catalog product update ID|SKU [flags as for create; only the given fields change]
  catalog product delete ID|SKU
  catalog product search WORDS… [-category …] [-brand …] [-gtin …] [-tag …] [-attribute key=value]
  catalog product suggest WORDS…
  catalog product history ID|SKU
  catalog product restore ID|SKU -version N
  catalog product void-price ID|SKU -price '1.49 EUR' -reason "typing error"
  catalog product watch [ID|SKU] [-category …] [-after ID]

`

// product runs catalog product.
func product(ctx context.Context, args []string) error {
	actions := map[string]func(context.Context, *productCall) error{
		"get": getProduct, "create": createProduct, "update": updateProduct, "delete": deleteProduct,
		"search": searchProducts, "suggest": suggestProducts,
		"history": productHistory, "restore": restoreProduct, "void-price": voidPrice, "watch": watchProducts,
	}
	names := strings.Join(slices.Sorted(maps.Keys(actions)), ", ")
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if err := parse(flags("product", productManual), args); err != nil {
			return err
		}
		return wrongUsage("give an action: %s", names)
	}
	action, ok := actions[args[0]]
	if !ok {
		return wrongUsage("%q is not one of %s", args[0], names)
	}
	p := productCall{out: os.Stdout}
	fs := flags("product "+args[0], productManual)
	var server string
	serverFlag(fs, &server)
	p.flags(fs)
	// Flags may stand before and after the arguments.
	for rest := args[1:]; ; {
		if err := parse(fs, rest); err != nil {
			return err
		}
		if rest = fs.Args(); len(rest) == 0 {
			break
		}
		p.args, rest = append(p.args, rest[0]), rest[1:]
	}
	p.fields.visit(fs)
	p.client = client.New(server)
	return action(ctx, &p)
}

// productCall holds the arguments and flags of one call of catalog product.
type productCall struct {
	client *client.Client
	out    io.Writer
	args   []string // an id or SKU, or search words
	fields fieldFlags

	json      bool
	ifVersion int64
	version   int64
	at, after string
	reason    string
}

func (p *productCall) flags(fs *flag.FlagSet) {
	p.fields.declare(fs)
	fs.BoolVar(&p.json, "json", false, "print JSON")
	fs.Int64Var(&p.version, "version", 0, "get or restore the product as of this `version`")
	fs.StringVar(&p.at, "at", "", "get the product as of this `time`, such as 2026-03-01T09:30:00Z")
	fs.StringVar(&p.after, "after", "", "watch from the change after this `id` on; 0 for all changes since the beginning")
	fs.StringVar(&p.reason, "reason", "", "why the void price was a mistake")
	fs.Int64Var(&p.ifVersion, "if-version", 0, "write only if the product is at this `version`")
}

// id returns the id of the product in the arguments, which name it by id or
// SKU.
func (p *productCall) id(ctx context.Context) (catalog.ID, error) {
	if len(p.args) != 1 {
		return catalog.ID{}, wrongUsage("give one product, by its id or its SKU")
	}
	if id, err := catalog.ParseID(p.args[0]); err == nil {
		return id, nil
	}
	page, err := p.client.Search(ctx, catalog.Query{Text: p.args[0], Limit: 1})
	if err != nil {
		return catalog.ID{}, err
	}
	if len(page.Items) == 0 || !strings.EqualFold(page.Items[0].SKU, p.args[0]) {
		return catalog.ID{}, &catalog.Refusal{Code: catalog.CodeNotFound, Reason: fmt.Sprintf("no product has the id or SKU %q", p.args[0])}
	}
	return page.Items[0].ID, nil
}

func getProduct(ctx context.Context, p *productCall) error {
	id, err := p.id(ctx)
	if err != nil {
		return err
	}
	var item catalog.Product
	switch {
	case p.version != 0 && p.at != "":
		return wrongUsage("give -version or -at, not both")
	case p.version != 0:
		item, err = p.client.ProductVersion(ctx, id, p.version)
	case p.at != "":
		at, invalid := time.Parse(time.RFC3339, p.at)
		if invalid != nil {
			return wrongUsage("-at %q is not a time such as 2026-03-01T09:30:00Z", p.at)
		}
		item, err = p.client.ProductAt(ctx, id, at)
	default:
		item, err = p.client.Product(ctx, id)
	}
	if err != nil {
		return err
	}
	return p.print(item)
}

func createProduct(ctx context.Context, p *productCall) error {
	if len(p.args) > 0 {
		return wrongUsage("%q is not a flag", p.args[0])
	}
	body, err := p.fields.patch()
	if err != nil {
		return err
	}
	data, err := wire.ParseProductData(body)
	if err != nil {
		return err
	}
	w, err := p.client.Create(ctx, data)
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
	body, err := p.fields.patch()
	if err != nil {
		return err
	}
	if string(body) == "{}" {
		return wrongUsage("give the fields to change, such as -price '129.90 EUR'")
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
		fmt.Fprintf(p.out, "version %d  %s  %s  command %s\n", v.Version, v.At.Format(timeFormat), v.Outcome, v.CommandId)
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
		return wrongUsage("give the version to restore, such as -version 3")
	}
	w, err := p.client.Restore(ctx, id, p.version, p.ifVersion)
	if err != nil {
		return err
	}
	return p.print(w.Product)
}

// voidPrice marks a past price as a mistake.
func voidPrice(ctx context.Context, p *productCall) error {
	id, err := p.id(ctx)
	if err != nil {
		return err
	}
	amount, currency, _ := strings.Cut(p.fields.text("price"), " ")
	decimal, err := catalog.ParseDecimal(amount)
	if err != nil || currency == "" {
		return wrongUsage("give the mistaken price, such as -price '1.49 EUR'")
	}
	w, err := p.client.VoidPrice(ctx, id, catalog.VoidPrice{Price: catalog.Money{Decimal: decimal, Currency: currency}, Reason: p.reason}, p.ifVersion)
	if err != nil {
		return err
	}
	return p.print(w.Product)
}

// timeFormat is the format of times in lists, in UTC with milliseconds.
const timeFormat = "2006-01-02 15:04:05.000"

// watchProducts prints changes until it is interrupted.
func watchProducts(ctx context.Context, p *productCall) error {
	w := client.Watch{Category: p.fields.text("category"), After: p.after}
	if len(p.args) > 0 {
		var err error
		if w.Product, err = p.id(ctx); err != nil {
			return err
		}
	}
	for change, err := range p.client.Changes(ctx, w) {
		switch {
		case ctx.Err() != nil: // interrupted: the normal end
			return nil
		case err != nil:
			return err
		}
		if err := p.printChange(change); err != nil {
			return err
		}
	}
	return nil
}

func (p *productCall) printChange(change client.Change) error {
	item := change.Product
	if p.json {
		line := map[string]any{
			"id": change.ID, "kind": change.Kind, "position": change.Position.String(), "at": change.At,
			"productId": item.ID.String(), "version": item.Version,
		}
		if !item.Deleted {
			line["product"] = wire.ProductToJSON(item, catalog.BeforeLastReduction)
		}
		return json.NewEncoder(p.out).Encode(line)
	}
	fmt.Fprintf(p.out, "%s  %s  %s  version %d", change.At.Format(timeFormat), change.Kind, item.ID, item.Version)
	if !item.Deleted {
		fmt.Fprintf(p.out, "  %s  %s", item.Name, money(item.Price))
	}
	_, err := fmt.Fprintln(p.out)
	return err
}

func (p *productCall) encode(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
