package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"sync"
	"time"

	"catalog"
	"catalog/engine/bleve"
	"catalog/eventlog"
)

// demo waits until the demo products are settled and found, and returns both rates
// in products a second.
func (s *server) demo(n int) (settled, searchable float64, err error) {
	since := time.Now()
	for line := range s.out {
		if strings.HasPrefix(line, fmt.Sprintf("demo: %d products", n)) {
			break
		}
	}
	settled = float64(n) / time.Since(since).Seconds()
	for time.Since(since) < 5*time.Minute {
		page, err := s.client.Search(context.Background(), catalog.Query{Limit: 1})
		if err != nil {
			return 0, 0, err
		}
		if page.Total >= int64(n) {
			return settled, float64(n) / time.Since(since).Seconds(), nil
		}
	}
	return 0, 0, errors.New("the demo products were not found after five minutes")
}

var (
	things = []string{"table", "chair", "lamp", "sofa", "desk", "plate", "teapot", "mirror", "rug", "bench", "wardrobe"}
	words  = []string{"oak", "beech", "walnut", "steel", "linen", "black", "grey", "mustard", "fjord", "juniper", "kestrel", "solea", "quill"}
)

// searchers is the number of concurrent clients.
const searchers = 8

// searches does n searches of all kinds with concurrent clients, and returns their
// durations. Almost all queries differ, so that no cache can serve them.
func (s *server) searches(n int) ([]time.Duration, error) {
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		took []time.Duration
		errs []error
	)
	for first := range searchers {
		all.Go(func() {
			mine, err := s.searchSome(first, n)
			mu.Lock()
			defer mu.Unlock()
			took, errs = append(took, mine...), append(errs, err)
		})
	}
	all.Wait()
	return took, errors.Join(errs...)
}

// searchSome does every searchers-th of n searches.
func (s *server) searchSome(first, n int) ([]time.Duration, error) {
	var all []time.Duration
	for i := first; i < n; i += searchers {
		thing, word := things[i%len(things)], words[i%len(words)]
		number := 100 + i*7%900
		low := catalog.Decimal{Units: int64(i % 500)}
		q := []catalog.Query{
			{Text: fmt.Sprint(word, " ", thing, " ", number)},
			{Text: fmt.Sprint(word[:2+i%2], " ", thing[:3], " ", number)}, // prefixes, as while typing
			{Text: fmt.Sprint(thing[:1], thing[2:], " ", number)},         // a letter is missing
			{Text: fmt.Sprintf("DEMO-%06d", 1+i*37%50_000)},
			{Text: thing, MinPrice: &low, Currency: "EUR"},
			{Text: word, Category: "Furniture", Sort: catalog.PriceAscending, MinPrice: &low, Currency: "EUR"},
		}[i%6]
		since := time.Now()
		if _, err := s.client.Search(context.Background(), q); err != nil {
			return nil, err
		}
		all = append(all, time.Since(since))
	}
	return all, nil
}

// hostile does n searches that cost an index most: single letters, all common
// words, misspelt words and no words, with the largest page, facets and highlights.
func (s *server) hostile(n int) ([]time.Duration, error) {
	texts := []string{
		"a b d e f g h i k l m n", strings.Join(append(things, words...)[:12], " "), "tabel chiar lammp sofae",
		strings.Repeat("b", catalog.MaxText), `.*(a+)+$[ %_% \x00 {"$ne": null}`,
	}
	var took []time.Duration
	for i := range n {
		q := catalog.Query{Text: texts[i%len(texts)], Limit: catalog.MaxLimit, Facets: true, Highlight: true}
		since := time.Now()
		if _, err := s.client.Search(context.Background(), q); err != nil {
			return nil, err
		}
		took = append(took, time.Since(since))
	}
	return took, nil
}

// rebuild rebuilds view and index of n products. It returns the products a second
// and how many of the concurrent searches failed.
func (s *server) rebuild(program string, n int) (rate float64, failed int, err error) {
	done := make(chan error, 1)
	since := time.Now()
	go func() {
		out, err := exec.Command(program, "rebuild", "-reader", s.grpc).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		done <- err
	}()
	reads := time.NewTicker(time.Second / searchRate)
	defer reads.Stop()
	for i := 0; ; i++ {
		select {
		case err := <-done:
			return float64(n) / time.Since(since).Seconds(), failed, err
		case <-reads.C:
		}
		if _, err := s.client.Search(context.Background(), catalog.Query{Text: things[i%len(things)]}); err != nil {
			failed++
		}
	}
}

// searchRate is the number of searches a second during a rebuild.
const searchRate = 50

// indexing returns how many products a second the index alone stores, in batches.
func indexing(dir string) (float64, error) {
	const products, batch = 20_000, 500
	x, err := bleve.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, err
	}
	defer x.Close()
	since := time.Now()
	for i := 0; i < products; i += batch {
		made := make([]catalog.Product, batch)
		for j := range made {
			made[j] = product(i + j)
		}
		at := []eventlog.Checkpoint{{Position: catalog.Position{Seq: int64(i + batch)}}}
		if err := x.Apply(context.Background(), made, at); err != nil {
			return 0, err
		}
	}
	return products / time.Since(since).Seconds(), nil
}

// product returns sample product i, which is always the same.
func product(i int) catalog.Product {
	thing, word := things[i%len(things)], words[i/len(things)%len(words)]
	return catalog.Product{ID: catalog.DerivedID("bench", fmt.Sprint(i)), Version: 1, ProductData: catalog.ProductData{
		SKU: fmt.Sprintf("BENCH-%06d", i), Name: fmt.Sprintf("%s %s %d", word, thing, 100+i*7%900), Category: "Furniture/" + thing,
		Description: fmt.Sprintf("A %s of %s, number %d, that folds flat, weighs three kilograms and carries a hundred and ten.", thing, word, i),
		Price:       catalog.Money{Decimal: catalog.Decimal{Units: int64(10 + i%990)}, Currency: "EUR"},
		Tags:        []string{word, "bench"}, Attributes: map[string]string{"width": fmt.Sprint(40+i%50, " cm")},
	}}
}
