package bleve_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"catalog"
	"catalog/engine/bleve"
)

// large is the number of products in the large catalogue.
const large = 100_000

// words returns n words of syllables. Callers draw from them by a Zipf distribution, as words occur in
// natural languages.
func words(r *rand.Rand, n int) []string {
	syllables := strings.Fields("ba be bi bo bra da del do dra en er fa fi fla ga gor ha hem in is ka kel la lin lo ma mi mo na nor od or pa pel ra ri ro sa sel ta tor un va vik wen yl zo")
	all := make([]string, n)
	for i := range all {
		for range 2 + r.IntN(3) {
			all[i] += syllables[r.IntN(len(syllables))]
		}
	}
	return all
}

// catalogue generates products with 150 to 300 bytes of text, always the same ones.
type catalogue struct {
	r    *rand.Rand
	zipf *rand.Zipf
	all  []string
}

func newCatalogue() *catalogue {
	r := rand.New(rand.NewPCG(1, 2))
	return &catalogue{r, rand.NewZipf(r, 1.1, 20, 19_999), words(r, 20_000)}
}

func (c *catalogue) word() string { return c.all[c.zipf.Uint64()] }

func (c *catalogue) text(n int) string {
	w := make([]string, n)
	for i := range w {
		w[i] = c.word()
	}
	return strings.Join(w, " ")
}

func (c *catalogue) product(i int) catalog.Product {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
	category := c.r.IntN(60)
	return catalog.Product{
		ID: catalog.DerivedID("bench", fmt.Sprint(i)), Version: 1, CreatedAt: at, UpdatedAt: at,
		ProductData: catalog.ProductData{
			SKU:         fmt.Sprintf("%03d.%03d.%02d", i/100_000, i/100%1000, i%100),
			Name:        strings.ToUpper(c.word()) + " " + c.text(1+c.r.IntN(3)),
			Description: c.text(15 + c.r.IntN(20)),
			Price:       catalog.Money{Decimal: catalog.Decimal{Units: int64(c.r.IntN(5_000)), Nanos: int32(c.r.IntN(100)) * 10_000_000}, Currency: "EUR"},
			Category:    fmt.Sprintf("%s/%s", c.all[category/10], c.all[category]),
			Tags:        []string{c.all[c.r.IntN(20)], c.all[20+c.r.IntN(20)]},
		},
	}
}

func (c *catalogue) products(n int) []catalog.Product {
	all := make([]catalog.Product, n)
	for i := range all {
		all[i] = c.product(i)
	}
	return all
}

// query returns a typical query: words, prefixes, misspelt words or filters.
func (c *catalogue) query() catalog.Query {
	q := catalog.Query{Limit: catalog.DefaultLimit}
	w := c.word()
	switch c.r.IntN(10) {
	case 0:
		q.Text = w
	case 1:
		q.Text = w + " " + c.word()
	case 2:
		q.Text = w[:1+c.r.IntN(len(w)-1)]
	case 3:
		q.Text = c.word() + " " + w[:len(w)/2]
	case 4:
		at := 1 + c.r.IntN(len(w)-1)
		q.Text = w[:at] + "x" + w[at+1:]
	case 5:
		q.Text, q.Tag = w, c.all[c.r.IntN(40)]
	case 6:
		q.Category, q.Sort = c.all[c.r.IntN(6)], catalog.PriceAscending
	case 7:
		q.Text, q.Currency, q.MinPrice, q.MaxPrice = w, "EUR", &catalog.Decimal{Units: 100}, &catalog.Decimal{Units: 900, Nanos: 990_000_000}
	case 8:
		q.Text, q.Facets = w, catalog.FacetFields()
	case 9:
		q.Text = fmt.Sprintf("%03d.%03d", 0, c.r.IntN(1_000))
	}
	return q
}

// percentiles reports the percentiles of durations.
func percentiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		b.ReportMetric(took[min(len(took)-1, len(took)*p/100)].Seconds()*1000, fmt.Sprintf("p%d-ms", p))
	}
}

func size(tb testing.TB, dir string) (bytes, files int64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if i, err := d.Info(); err == nil {
				bytes, files = bytes+i.Size(), files+1
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return bytes, files
}

// BenchmarkApplyMany indexes a large catalogue in batches of 500.
func BenchmarkApplyMany(b *testing.B) {
	products := newCatalogue().products(large)
	for b.Loop() {
		dir := b.TempDir()
		x, err := bleve.Open(dir, discardLog)
		if err != nil {
			b.Fatal(err)
		}
		since, used := time.Now(), cpuTime(b)
		for i := 0; i < large; i += 500 {
			apply(b, x, int64(i+500), products[i:i+500]...)
		}
		b.ReportMetric(large/time.Since(since).Seconds(), "products/s")
		b.ReportMetric((cpuTime(b) - used).Seconds(), "cpu-s")
		if err := x.Close(); err != nil {
			b.Fatal(err)
		}
		bytes, files := size(b, dir)
		b.ReportMetric(float64(bytes)/large, "bytes/product")
		b.ReportMetric(float64(files), "files")
	}
}

// cpuTime returns the CPU time of this process, which is comparable even on a busy machine.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkApplyOne writes one product at a time into a large catalogue.
func BenchmarkApplyOne(b *testing.B) {
	c := newCatalogue()
	x := newFilledIndex(b, c, large)
	var took []time.Duration
	i := 0
	for b.Loop() {
		p := c.product(i % large)
		since := time.Now()
		apply(b, x, int64(large+i), p)
		took = append(took, time.Since(since))
		i++
	}
	percentiles(b, took)
}

func newFilledIndex(b *testing.B, c *catalogue, products int) *bleve.Index {
	x := open(b, b.TempDir())
	for i := 0; i < products; i += 1000 {
		var batch []catalog.Product
		for j := i; j < i+1000; j++ {
			batch = append(batch, c.product(j))
		}
		apply(b, x, int64(i+1000), batch...)
	}
	return x
}

// BenchmarkClients measures eight concurrent clients on a small and on a large catalogue, with typical
// queries and with the most expensive ones.
func BenchmarkClients(b *testing.B) {
	for _, products := range []int{large / 10, large} {
		c := newCatalogue()
		x := newFilledIndex(b, c, products)
		mixed := make([]catalog.Query, 1_000)
		for i := range mixed {
			mixed[i] = c.query()
		}
		hostile := []catalog.Query{
			{Text: "a b d e f g h i k l m n"},
			{Text: strings.Join(c.all[:12], " "), Facets: catalog.FacetFields()},
			{Text: strings.Repeat("b", catalog.MaxText)},
			{Text: "babababa dodododo kakakaka lololola"},
		}
		for i := range hostile {
			hostile[i].Limit = catalog.MaxLimit
		}
		for name, queries := range map[string][]catalog.Query{"mixed": mixed, "hostile": hostile} {
			b.Run(fmt.Sprintf("%s/%d products", name, products), func(b *testing.B) {
				const clients = 8
				var took [clients][]time.Duration
				var wg sync.WaitGroup
				for client := range clients {
					wg.Go(func() {
						for i := client; i < b.N; i += clients {
							since := time.Now()
							if _, err := x.Search(b.Context(), queries[i%len(queries)]); err != nil {
								b.Error(err)
								return
							}
							took[client] = append(took[client], time.Since(since))
						}
					})
				}
				wg.Wait()
				percentiles(b, slices.Concat(took[:]...))
			})
		}
	}
}

// BenchmarkSearch measures single searches on a large catalogue: typical ones, named ones, and typical
// ones while products are written.
func BenchmarkSearch(b *testing.B) {
	c := newCatalogue()
	x := newFilledIndex(b, c, large)
	search := func(b *testing.B, q catalog.Query) time.Duration {
		since := time.Now()
		if _, err := x.Search(b.Context(), q); err != nil {
			b.Fatal(err)
		}
		return time.Since(since)
	}
	b.Run("idle", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			took = append(took, search(b, c.query()))
		}
		percentiles(b, took)
	})
	named := map[string]catalog.Query{
		"everything, newest":    {},
		"everything, facets":    {Facets: catalog.FacetFields()},
		"everything, by name":   {Sort: catalog.ByName},
		"one letter":            {Text: "b"},
		"three letters":         {Text: "bel"},
		"a common word":         {Text: c.all[0]},
		"two common words":      {Text: c.all[0] + " " + c.all[1]},
		"a common word, priced": {Text: c.all[0], Currency: "EUR", MinPrice: &catalog.Decimal{Units: 10}, Sort: catalog.PriceAscending},
		"a rare word":           {Text: c.all[19_000]},
		"a misspelt word":       {Text: c.all[3][:2] + "x" + c.all[3][3:]},
		"half a SKU":            {Text: "000.12"},
		"a broad price range":   {Currency: "EUR", MinPrice: &catalog.Decimal{Units: 7}, MaxPrice: &catalog.Decimal{Units: 4_321}},
		"a category, cheapest":  {Category: c.all[0], Sort: catalog.PriceAscending},
		"twelve words":          {Text: strings.Join(c.all[:12], " ")},
		"twelve letters":        {Text: "a b d e f g h i k l m n"},
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for n := range named {
			if !yield(n) {
				return
			}
		}
	}) {
		b.Run(name, func(b *testing.B) {
			q := named[name]
			q.Limit = catalog.DefaultLimit
			used := cpuTime(b)
			for b.Loop() {
				search(b, q)
			}
			b.ReportMetric((cpuTime(b)-used).Seconds()*1000/float64(b.N), "cpu-ms")
		})
	}
	b.Run("while written", func(b *testing.B) {
		ctx, stop := context.WithCancel(b.Context())
		var wg sync.WaitGroup
		written, since := 0, time.Now()
		wg.Go(func() {
			other := newCatalogue()
			for ; ctx.Err() == nil; written += 50 {
				var batch []catalog.Product
				for i := range 50 {
					batch = append(batch, other.product((written+i)%large))
				}
				apply(b, x, int64(large+written), batch...)
			}
		})
		var took []time.Duration
		for b.Loop() {
			took = append(took, search(b, c.query()))
		}
		stop()
		wg.Wait()
		percentiles(b, took)
		b.ReportMetric(float64(written)/time.Since(since).Seconds(), "written/s")
	})
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.Logf("heap in use %d MiB, system %d MiB, goroutines %d", m.HeapInuse>>20, m.Sys>>20, runtime.NumGoroutine())
}
