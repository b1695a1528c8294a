package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"catalog"
)

// question is a search that every engine can run.
type question struct {
	text     string
	prefix   bool   // each word of the text may be the beginning of a word
	minPrice int64  // lowest price; 0 for any
	category string // "" for any
	byPrice  bool   // sort by price; otherwise by relevance
	facets   bool   // count the matching products by category and brand
}

// page is how many products a question returns. It also counts all that match.
const page = 20

// questionKinds lists the kinds of questions. Each makes a question that matches
// product i of n.
var questionKinds = []struct {
	name string
	ask  func(i int) question
}{
	{"SKU", func(i int) question { return question{text: product(i).SKU} }},
	{"GTIN", func(i int) question { return question{text: product(i).GTIN} }},
	{"three words", func(i int) question { return question{text: product(i).Name} }},
	{"prefixes", func(i int) question {
		return question{text: fmt.Sprint(wordOf(i)[:3], " ", thingOf(i)[:3], " ", numberOf(i)), prefix: true}
	}},
	{"one word", func(i int) question { return question{text: thingOf(i)} }},
	{"one word and price", func(i int) question { return question{text: thingOf(i), minPrice: 10 + int64(i%500)} }},
	{"category by price", func(i int) question {
		return question{text: wordOf(i), category: product(i).Category, byPrice: true}
	}},
	{"one word with facets", func(i int) question { return question{text: thingOf(i), facets: true} }},
}

// searchEngine is an index of products.
type searchEngine interface {
	// add adds products from, from+1 … to-1. They are found when the last of them
	// were added and finish has returned.
	add(ctx context.Context, from, to int) error
	finish(ctx context.Context) error
	// ask returns how many products match.
	ask(ctx context.Context, q question) (matches int, err error)
	close() error
}

// addBatch is the number of products that are added at once, as a reader that is behind
// does.
const addBatch = 1000

// build adds n products and returns how many a second.
func build(ctx context.Context, x searchEngine, n int) (float64, error) {
	since := time.Now()
	for from := 0; from < n; from += addBatch {
		if err := x.add(ctx, from, min(n, from+addBatch)); err != nil {
			return 0, err
		}
	}
	err := x.finish(ctx)
	return float64(n) / time.Since(since).Seconds(), err
}

// asked has the times of questions by kind.
type asked map[string][]time.Duration

// questionTurn asks questions of all kinds by concurrent clients for the time d. n is
// the number of products.
func questionTurn(ctx context.Context, x searchEngine, n int, d time.Duration) (rate float64, took asked, err error) {
	var (
		mu    sync.Mutex
		all   sync.WaitGroup
		errs  []error
		count int
		since = time.Now()
	)
	took = asked{}
	for client := range searchers {
		all.Go(func() {
			mine, err := askFor(ctx, x, n, client, since.Add(d))
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			for kind, t := range mine {
				took[kind] = append(took[kind], t...)
				count += len(t)
			}
		})
	}
	all.Wait()
	return float64(count) / time.Since(since).Seconds(), took, errors.Join(errs...)
}

// askFor asks questions of all kinds in turn until the end, and at least one of each.
func askFor(ctx context.Context, x searchEngine, n, client int, end time.Time) (asked, error) {
	took, random := asked{}, rand.New(rand.NewPCG(1, uint64(client)))
	for i := 0; i < len(questionKinds) || time.Now().Before(end); i++ {
		kind := questionKinds[(i+client)%len(questionKinds)]
		q := kind.ask(random.IntN(n))
		since := time.Now()
		matches, err := x.ask(ctx, q)
		if err == nil && matches == 0 {
			err = errors.New("no product matches")
		}
		if err != nil {
			return nil, fmt.Errorf("%+v: %w", q, err)
		}
		took[kind.name] = append(took[kind.name], time.Since(since))
	}
	return took, nil
}

// competitor is an engine beside that of this module.
type competitor struct {
	name string
	open func(ctx context.Context) (searchEngine, error)
	goal float64 // wanted rate of this module's index, as a multiple of the engine's; 0 for none
}

const ownIndex = "this index"

// questions measures how fast the index is built and how fast it finds, beside other
// engines.
func (b *bench) questions() (err error) {
	ctx := context.Background()
	small, _, err := b.buildOwn(ctx, max(100, b.large/10), 1, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, small.close()) }()
	own, rate, err := b.buildOwn(ctx, b.large, b.rounds, fmt.Sprintf("%s, build of %d products", ownIndex, b.large))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	engines := []searchEngine{own}
	var peers []competitor
	for _, c := range b.competitors() {
		x, err := c.open(ctx)
		if errors.Is(err, errNoEngines) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		defer func() { err = errors.Join(err, x.close()) }()
		theirs, err := build(ctx, x, b.large)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		b.note(c.name+", build", theirs, "products/s")
		b.note("build, multiple of "+c.name, rate/theirs, "")
		engines, peers = append(engines, x), append(peers, c)
	}
	for range b.rounds {
		if err := b.questionRound(ctx, small, engines, peers); err != nil {
			return err
		}
	}
	return nil
}

// buildOwn builds the index of this module in rounds. It returns the last one, and the
// median of the products a second, which it adds to a figure unless the name is "".
func (b *bench) buildOwn(ctx context.Context, n, rounds int, name string) (x searchEngine, rate float64, err error) {
	goal := 10_000.0
	if n >= 1_000_000 {
		goal = 7000
	}
	var rates []float64
	for round := range rounds {
		if x != nil {
			if err := x.close(); err != nil {
				return nil, 0, err
			}
		}
		if x, err = openOwnIndex(filepath.Join(b.dir, fmt.Sprintf("index-%d-%d", n, round))); err != nil {
			return nil, 0, err
		}
		rate, err := build(ctx, x, n)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", ownIndex, err)
		}
		rates = append(rates, rate)
		if name != "" {
			b.atLeast(name, rate, goal, "products/s")
		}
	}
	return x, median(rates), nil
}

// questionRound asks all engines in turn. The first one is the index of this module.
func (b *bench) questionRound(ctx context.Context, small searchEngine, engines []searchEngine, peers []competitor) error {
	turn := b.scaled(2 * time.Second)
	_, few, err := questionTurn(ctx, small, max(100, b.large/10), turn)
	if err != nil {
		return fmt.Errorf("%s: %w", ownIndex, err)
	}
	var own float64
	for i, x := range engines {
		name := ownIndex
		if i > 0 {
			name = peers[i-1].name
		}
		rate, took, err := questionTurn(ctx, x, b.large, turn)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.note(fmt.Sprintf("questions by %d clients, %s", searchers, name), rate, "questions/s")
		b.note("questions, "+name+", p99", ms(took.all(), 99), "ms")
		for _, kind := range questionKinds {
			b.note(fmt.Sprintf("%s, %s, p50", kind.name, name), ms(took[kind.name], 50), "ms")
		}
		if i == 0 {
			own = rate
			b.ownQuestions(took, few)
			continue
		}
		share := "questions, multiple of " + name
		if goal := peers[i-1].goal; goal > 0 {
			b.atLeast(share, own/rate, goal, "")
		} else {
			b.note(share, own/rate, "")
		}
	}
	return nil
}

// ownQuestions adds the figures of the index of this module alone. few are the times in
// a catalogue of a tenth.
func (b *bench) ownQuestions(took, few asked) {
	p99 := 20.0
	if b.large >= 1_000_000 {
		p99 = 60
	}
	b.atMost("SKU, p50", ms(took["SKU"], 50), 1, "ms")
	b.atMost("GTIN, p50", ms(took["GTIN"], 50), 1, "ms")
	b.atMost("one word with facets, p99", ms(took["one word with facets"], 99), p99, "ms")
	b.atMost("one word with facets, p50, multiple of one word", ms(took["one word with facets"], 50)/ms(took["one word"], 50), 1.3, "")
	b.atMost(fmt.Sprintf("questions, p50, multiple of that in %d products", max(100, b.large/10)), ms(took.all(), 50)/ms(few.all(), 50), 1.6, "")
}

func (a asked) all() (all []time.Duration) {
	for _, t := range a {
		all = append(all, t...)
	}
	return all
}

var (
	things = []string{"table", "chair", "lamp", "sofa", "desk", "plate", "teapot", "mirror", "rug", "bench", "wardrobe"}
	words  = []string{"oak", "beech", "walnut", "steel", "linen", "black", "grey", "mustard", "fjord", "juniper", "kestrel", "solea", "quill"}
)

func thingOf(i int) string { return things[i%len(things)] }
func wordOf(i int) string  { return words[i/len(things)%len(words)] }
func numberOf(i int) int   { return 100 + i*7%900 }

// product returns sample product i, which is always the same.
func product(i int) catalog.Product {
	thing, word := thingOf(i), wordOf(i)
	return catalog.Product{ID: catalog.DerivedID("bench", fmt.Sprint(i)), Version: 1, ProductData: catalog.ProductData{
		SKU: fmt.Sprintf("BENCH-%06d", i), GTIN: gtin(i), Name: fmt.Sprintf("%s %s %d", word, thing, numberOf(i)), Brand: fmt.Sprintf("Maker %02d", i%50),
		Category:    "Furniture/" + thing,
		Description: fmt.Sprintf("A %s of %s, number %d, that folds flat, weighs three kilograms and carries a hundred and ten.", thing, word, i),
		Price:       catalog.Money{Decimal: catalog.Decimal{Units: int64(10 + i%990)}, Currency: "EUR"},
		Tags:        []string{word, "bench"}, Attributes: map[string]string{"width": fmt.Sprint(40+i%50, " cm")},
	}}
}

// gtin returns the GTIN-13 of product i.
func gtin(i int) string {
	digits := fmt.Sprintf("200%09d", i%1_000_000_000)
	sum := 0
	for at, d := range digits {
		sum += int(d-'0') * (1 + 2*(at%2))
	}
	return fmt.Sprint(digits, (10-sum%10)%10)
}
