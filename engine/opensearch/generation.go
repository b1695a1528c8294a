package opensearch

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"catalog"
)

// generations are the indexes that there are, by number: the first, and then by
// the moment at which each was made, so that no number comes twice. OpenSearch has
// them as aliases, of which several are changed in one step.
type generations struct {
	all   []int // which are written
	live  int   // which is read; 0 for none
	whole []int // which have all that there is
}

// The names of a generation. Its index is only read and written by the name that
// it has while it is kept.
func (x *Index) index(number int) string { return x.base + "-" + strconv.Itoa(number) }
func (x *Index) kept(number int) string  { return x.index(number) + "-kept" }
func (x *Index) whole() string           { return x.base + "-whole" }

// look finds out which generations there are.
func (x *Index) look(ctx context.Context) (g generations, _ error) {
	var indexes map[string]struct {
		Aliases map[string]struct{} `json:"aliases"`
	}
	if err := x.client.call(ctx, http.MethodGet, "/_alias/"+x.base+"*", nil, &indexes); err != nil {
		return g, err
	}
	for name, index := range indexes {
		number, err := strconv.Atoi(strings.TrimPrefix(name, x.base+"-"))
		if err != nil || name != x.index(number) {
			continue // of somebody else
		}
		for alias := range maps.Keys(index.Aliases) {
			switch alias {
			case x.kept(number):
				g.all = append(g.all, number)
			case x.base:
				g.live = number
			case x.whole():
				g.whole = append(g.whole, number)
			}
		}
	}
	return g, nil
}

// prepare makes the first generation unless there is one.
func (x *Index) prepare(ctx context.Context) error {
	g, err := x.look(ctx)
	if err != nil || g.live != 0 {
		return err
	}
	err = x.make(ctx, first, x.base, x.whole())
	if is(err, isThere) { // another reader was quicker
		return nil
	}
	return err
}

// first is the number of the first generation.
const first = 1

// make makes an empty generation.
func (x *Index) make(ctx context.Context, number int, aliases ...string) error {
	return x.client.call(ctx, http.MethodPut, "/"+x.index(number), x.definition(append(aliases, x.kept(number))...), nil)
}

// Renew makes an empty generation beside the live one, in the place of another
// that was there.
func (x *Index) CreateStandby(ctx context.Context) error {
	if err := x.DropPrevious(ctx); err != nil {
		return err
	}
	number := int(time.Now().UnixMicro())
	if err := x.make(ctx, number); err != nil {
		return fmt.Errorf("make a new search index: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.made = number
	return nil
}

// beside answers the generation that was made here and has not yet taken over.
func (x *Index) beside(ctx context.Context) (int, generations, error) {
	x.mu.Lock()
	made := x.made
	x.mu.Unlock()
	g, err := x.look(ctx)
	if err == nil && (!slices.Contains(g.all, made) || slices.Contains(g.whole, made)) {
		err = fmt.Errorf("there is no other search index: %w", catalog.ErrNotFound)
	}
	return made, g, err
}

// Load stores products of a snapshot in the new generation. What is newer there
// stays.
func (x *Index) Load(ctx context.Context, products []catalog.Product) error {
	number, _, err := x.beside(ctx)
	if err != nil {
		return err
	}
	list, err := operations(products)
	if err != nil {
		return err
	}
	if err := x.write(ctx, number, list); err != nil {
		return fmt.Errorf("load %d products: %w", len(products), err)
	}
	return nil
}

// EachBeside shows all products of the new generation.
func (x *Index) ScanStandby(ctx context.Context, handle func([]catalog.Product) error) error {
	number, _, err := x.beside(ctx)
	if err != nil {
		return err
	}
	if err := x.refresh(ctx, number); err != nil {
		return err
	}
	return x.each(ctx, number, handle)
}

// ProductBeside answers a product of the new generation.
func (x *Index) StandbyProduct(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	number, _, err := x.beside(ctx)
	if err != nil {
		return catalog.Product{}, err
	}
	return x.product(ctx, number, id)
}

// Switch lets the new generation, which is whole now, take the place of the live
// one. That is kept beside it.
func (x *Index) Switch(ctx context.Context, _ int) error {
	number, g, err := x.beside(ctx)
	if err != nil {
		return err
	}
	if g.live != 0 {
		// Whatever the live one has was applied to both, or is in the snapshot.
		reached, err := x.progress(ctx, g.live)
		if err != nil {
			return err
		}
		if err := x.write(ctx, number, reach(reached)); err != nil {
			return err
		}
	}
	if err := x.refresh(ctx, number); err != nil {
		return err
	}
	return x.swap(ctx, g, number)
}

// Back lets what was live before the last Switch be live again.
func (x *Index) Rollback(ctx context.Context, _ int) error {
	g, err := x.look(ctx)
	if err != nil {
		return err
	}
	for _, number := range g.whole {
		if number != g.live && slices.Contains(g.all, number) {
			return x.swap(ctx, g, number)
		}
	}
	return fmt.Errorf("there is no earlier search index to go back to: %w", catalog.ErrNotFound)
}

// swap lets another generation be live, in one step.
func (x *Index) swap(ctx context.Context, g generations, number int) error {
	change := func(do, alias string, number int) map[string]any {
		return map[string]any{do: map[string]any{"index": x.index(number), "alias": alias}}
	}
	steps := []any{change("add", x.base, number), change("add", x.whole(), number)}
	if g.live != 0 {
		steps = append(steps, change("remove", x.base, g.live))
	}
	if err := x.client.call(ctx, http.MethodPost, "/_aliases", map[string]any{"actions": steps}, nil); err != nil {
		return fmt.Errorf("switch the search index: %w", err)
	}
	return nil
}

// Forget gives up what is beside the live generation.
func (x *Index) DropPrevious(ctx context.Context) error {
	g, err := x.look(ctx)
	if err != nil {
		return fmt.Errorf("remove search indexes: %w", err)
	}
	for _, number := range g.all {
		if number == g.live {
			continue
		}
		if err := x.client.call(ctx, http.MethodDelete, "/"+x.index(number), nil, nil); err != nil && !is(err, noIndex) {
			return fmt.Errorf("remove search indexes: %w", err)
		}
	}
	return nil
}
