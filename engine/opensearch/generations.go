package opensearch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"catalog"
)

// generations are the numbers of the existing generations. Each generation is an index of its own.
// The first has number 1, later ones the time of their creation, so that no number is used twice.
// OpenSearch stores the states as aliases, of which one call can change several atomically.
type generations struct {
	active   []int // generations that are written
	live     int   // generation that is searched; 0 for none
	complete []int // generations that have all products
}

// firstGeneration is the number of the generation that Open creates.
const firstGeneration = 1

var errNoIndex = errors.New("there is no search index in OpenSearch; restart a reader or run catalog rebuild -index to create it")

// indexName returns the name of a generation's index.
func (x *Index) indexName(generation int) string { return x.base + "-" + strconv.Itoa(generation) }

// activeAlias returns the alias under which a generation is read and written. It disappears with the
// index, so that a late write cannot create the index again.
func (x *Index) activeAlias(generation int) string { return x.indexName(generation) + "-active" }

// completeAlias returns the alias of all complete generations.
func (x *Index) completeAlias() string { return x.base + "-complete" }

// listGenerations reads the aliases of OpenSearch.
func (x *Index) listGenerations(ctx context.Context) (g generations, _ error) {
	var indexes map[string]struct {
		Aliases map[string]struct{} `json:"aliases"`
	}
	if err := x.client.call(ctx, http.MethodGet, "/_alias/"+x.base+"*", nil, &indexes); err != nil {
		return g, err
	}
	for name, index := range indexes {
		number, err := strconv.Atoi(strings.TrimPrefix(name, x.base+"-"))
		if err != nil || name != x.indexName(number) {
			continue // an index of another application with a similar name
		}
		for alias := range maps.Keys(index.Aliases) {
			switch alias {
			case x.activeAlias(number):
				g.active = append(g.active, number)
			case x.base:
				g.live = number
			case x.completeAlias():
				g.complete = append(g.complete, number)
			}
		}
	}
	return g, nil
}

// liveGeneration returns the number of the live generation, or errNoIndex.
func (x *Index) liveGeneration(ctx context.Context) (int, error) {
	g, err := x.listGenerations(ctx)
	if err == nil && g.live == 0 {
		err = errNoIndex
	}
	return g.live, err
}

// createFirst creates the first generation unless there is a live one.
func (x *Index) createFirst(ctx context.Context) error {
	g, err := x.listGenerations(ctx)
	if err != nil || g.live != 0 {
		return err
	}
	err = x.createGeneration(ctx, firstGeneration, x.base, x.completeAlias())
	if isErrorType(err, errTypeIndexExists) { // another reader has created it meanwhile
		return nil
	}
	return err
}

// createGeneration creates an empty generation.
func (x *Index) createGeneration(ctx context.Context, generation int, aliases ...string) error {
	return x.client.call(ctx, http.MethodPut, "/"+x.indexName(generation), x.indexDefinition(append(aliases, x.activeAlias(generation))...), nil)
}

// CreateStandby creates an empty generation beside the live one and drops all others.
func (x *Index) CreateStandby(ctx context.Context) error {
	if err := x.DropPrevious(ctx); err != nil {
		return err
	}
	generation := int(time.Now().UnixMicro())
	if err := x.createGeneration(ctx, generation); err != nil {
		return fmt.Errorf("create a search index: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.standby = generation
	return nil
}

// standbyGeneration returns the number of the generation that this process created and that is not
// live yet, or ErrNotFound, also when another process has dropped it.
func (x *Index) standbyGeneration(ctx context.Context) (int, generations, error) {
	x.mu.Lock()
	standby := x.standby
	x.mu.Unlock()
	g, err := x.listGenerations(ctx)
	if err == nil && (!slices.Contains(g.active, standby) || slices.Contains(g.complete, standby)) {
		err = fmt.Errorf("there is no standby search index: %w", catalog.ErrNotFound)
	}
	return standby, g, err
}

// Load stores products of a snapshot in the standby. Newer versions there stay.
func (x *Index) Load(ctx context.Context, products []catalog.Product) error {
	standby, _, err := x.standbyGeneration(ctx)
	if err != nil {
		return err
	}
	operations, err := productOperations(products)
	if err != nil {
		return err
	}
	if err := x.write(ctx, standby, operations); err != nil {
		return fmt.Errorf("load %d products: %w", len(products), err)
	}
	return nil
}

// ScanStandby calls handle with all products of the standby.
func (x *Index) ScanStandby(ctx context.Context, handle func([]catalog.Product) error) error {
	standby, _, err := x.standbyGeneration(ctx)
	if err != nil {
		return err
	}
	if err := x.refresh(ctx, standby); err != nil {
		return err
	}
	return x.scan(ctx, standby, handle)
}

// StandbyProduct returns a product of the standby, or ErrNotFound.
func (x *Index) StandbyProduct(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	standby, _, err := x.standbyGeneration(ctx)
	if err != nil {
		return catalog.Product{}, err
	}
	return x.product(ctx, standby, id)
}

// Switch makes the standby live. The caller has loaded it completely. The previous live generation
// stays for a Rollback.
func (x *Index) Switch(ctx context.Context) error {
	standby, g, err := x.standbyGeneration(ctx)
	if err != nil {
		return err
	}
	if g.live != 0 {
		// Every event up to these checkpoints was applied to both generations or is in the snapshot.
		checkpoints, err := x.checkpoints(ctx, g.live)
		if err != nil {
			return err
		}
		if err := x.write(ctx, standby, checkpointOperations(checkpoints)); err != nil {
			return err
		}
	}
	if err := x.refresh(ctx, standby); err != nil {
		return err
	}
	return x.swap(ctx, g, standby)
}

// Rollback makes the generation live that was live before the last Switch.
func (x *Index) Rollback(ctx context.Context) error {
	g, err := x.listGenerations(ctx)
	if err != nil {
		return err
	}
	for _, generation := range g.complete {
		if generation != g.live && slices.Contains(g.active, generation) {
			return x.swap(ctx, g, generation)
		}
	}
	return fmt.Errorf("there is no previous search index: %w", catalog.ErrNotFound)
}

// swap makes another generation live, atomically.
func (x *Index) swap(ctx context.Context, g generations, generation int) error {
	action := func(kind, alias string, generation int) map[string]any {
		return map[string]any{kind: map[string]any{"index": x.indexName(generation), "alias": alias}}
	}
	actions := []any{action("add", x.base, generation), action("add", x.completeAlias(), generation)}
	if g.live != 0 {
		actions = append(actions, action("remove", x.base, g.live))
	}
	if err := x.client.call(ctx, http.MethodPost, "/_aliases", map[string]any{"actions": actions}, nil); err != nil {
		return fmt.Errorf("switch the search index: %w", err)
	}
	return nil
}

// DropPrevious removes all generations but the live one.
func (x *Index) DropPrevious(ctx context.Context) error {
	g, err := x.listGenerations(ctx)
	if err != nil {
		return fmt.Errorf("remove search indexes: %w", err)
	}
	for _, generation := range g.active {
		if generation == g.live {
			continue
		}
		if err := x.client.call(ctx, http.MethodDelete, "/"+x.indexName(generation), nil, nil); err != nil && !isErrorType(err, errTypeNoIndex) {
			return fmt.Errorf("remove search indexes: %w", err)
		}
	}
	return nil
}
