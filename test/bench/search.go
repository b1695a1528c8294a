package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"catalog"
)

// search measures filling, searches and a rebuild of a catalogue over HTTP.
func (b *bench) search() error {
	n := b.large
	s, err := b.start(filepath.Join(b.dir, "search"), "-demo", strconv.Itoa(n))
	if err != nil {
		return err
	}
	defer s.kill()
	rate, searchable, err := s.demo(n)
	if err != nil {
		return err
	}
	b.atLeast(fmt.Sprintf("-demo %d, settled", n), rate, 5000, "products/s")
	b.atLeast(fmt.Sprintf("-demo %d, searchable", n), searchable, 2000, "products/s")
	loaded, err := s.searches(b.number(1000))
	if err != nil {
		return err
	}
	b.note("search right after the load, p99", ms(loaded, 99), "ms")
	if err := s.waitIdle(); err != nil {
		return err
	}
	for range b.rounds {
		if err := b.searchTurn(s); err != nil {
			return err
		}
	}
	rate, failed, err := s.rebuild(b.program("catalog"), n)
	if err != nil {
		return err
	}
	b.atLeast(fmt.Sprintf("rebuild of %d products, with %d searches/s", n, searchRate), rate, 10_000, "products/s")
	b.atMost("searches that failed during the rebuild", float64(failed), 0, "")
	peak, err := s.processes[0].memory("VmHWM")
	if err != nil {
		return err
	}
	b.atMost("memory during load and rebuild, highest", peak, 512, "MiB")
	return s.stop()
}

// searchTurn measures searches and suggestions at rest.
func (b *bench) searchTurn(s *server) error {
	searches, err := s.searches(b.number(1500))
	if err != nil {
		return err
	}
	b.atMost(fmt.Sprintf("search by %d clients, p50", searchers), ms(searches, 50), 20, "ms")
	b.atMost(fmt.Sprintf("search by %d clients, p99", searchers), ms(searches, 99), 20, "ms")
	hostile, err := s.hostile(b.number(150))
	if err != nil {
		return err
	}
	b.atMost("hostile searches, one at a time, p99", ms(hostile, 99), 50, "ms")
	suggestions, err := s.suggestions(b.number(300))
	if err != nil {
		return err
	}
	b.note("suggestions, one at a time, p99", ms(suggestions, 99), "ms")
	return nil
}

// suggestions asks for n completions, one after the other.
func (s *server) suggestions(n int) (took []time.Duration, err error) {
	for i := range n {
		text := things[i%len(things)] + " " + words[i%len(words)]
		since := time.Now()
		if _, err := s.client.Suggest(context.Background(), text[:1+i%len(text)], catalog.DefaultSuggestions); err != nil {
			return nil, err
		}
		took = append(took, time.Since(since))
	}
	return took, nil
}

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
		q := catalog.Query{Text: texts[i%len(texts)], Limit: catalog.MaxLimit, Facets: catalog.FacetFields(), Highlight: true}
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
