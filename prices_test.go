package catalog_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
)

// prices changes the price of a product through the list, each after the given
// time, and returns the product and the time at which each price began.
func prices(t rapid.TB, list []catalog.Money, after []time.Duration) (catalog.Product, []time.Time) {
	t.Helper()
	p := catalog.Product{ID: catalog.DerivedID("p")}
	now := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	var began []time.Time
	for i, m := range list {
		now = now.Add(after[i])
		began = append(began, now)
		e, err := catalog.Decide(p, catalog.Command{Product: p.ID, Op: catalog.PutProduct{Data: catalog.ProductData{Name: "x", Price: m}}}, now)
		if err != nil {
			t.Fatal(err)
		}
		p = e.Product
	}
	return p, began
}

func inEuro(units int64) catalog.Money {
	return catalog.Money{Decimal: catalog.Decimal{Units: units}, Currency: "EUR"}
}

func TestLowestPrior(t *testing.T) {
	const day = 24 * time.Hour
	yen := catalog.Money{Decimal: catalog.Decimal{Units: 5}, Currency: "JPY"}
	for _, test := range []struct {
		name   string
		prices []catalog.Money
		after  []time.Duration
		want   int64 // euros; 0 for none
	}{
		{"a price that never changed", []catalog.Money{inEuro(100)}, []time.Duration{0}, 0},
		{"a reduction is compared with the price before it, not with itself", []catalog.Money{inEuro(100), inEuro(80)}, []time.Duration{0, 90 * day}, 100},
		{"a price raised shortly before it is reduced", []catalog.Money{inEuro(100), inEuro(150), inEuro(90)}, []time.Duration{0, 60 * day, 10 * day}, 100},
		{"a price raised long enough before it is reduced", []catalog.Money{inEuro(100), inEuro(150), inEuro(90)}, []time.Duration{0, 60 * day, 30 * day}, 150},
		{"a moment less than 30 days is not enough", []catalog.Money{inEuro(100), inEuro(150), inEuro(90)}, []time.Duration{0, 60 * day, 30*day - time.Microsecond}, 100},
		{"one offer after another", []catalog.Money{inEuro(100), inEuro(80), inEuro(100), inEuro(85)}, []time.Duration{0, day, day, day}, 80},
		{"a repeated price changes nothing", []catalog.Money{inEuro(100), inEuro(80), inEuro(80)}, []time.Duration{0, day, 90 * day}, 100},
		{"a price in another currency does not count", []catalog.Money{yen, inEuro(100)}, []time.Duration{0, day}, 0},
		{"an earlier price in the same currency counts", []catalog.Money{inEuro(70), yen, inEuro(100)}, []time.Duration{0, day, day}, 70},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := prices(t, test.prices, test.after)
			if got, ok := p.LowestPrior(); ok != (test.want > 0) || got.Units != test.want {
				t.Errorf("LowestPrior = %v, %v; want %d", got, ok, test.want)
			}
		})
	}
	t.Run("a change of another field keeps the result", func(t *testing.T) {
		p, _ := prices(t, []catalog.Money{inEuro(100), inEuro(80)}, []time.Duration{0, day})
		name := "y"
		e, err := catalog.Decide(p, catalog.Command{Product: p.ID, Op: catalog.PatchProduct{Patch: catalog.Patch{Name: &name}}}, p.UpdatedAt.Add(400*day))
		if got, _ := e.Product.LowestPrior(); err != nil || got != inEuro(100) {
			t.Errorf("LowestPrior = %v, %v; want 100 EUR", got, err)
		}
	})
	// The product had the prices 100, 80 and 90 before it is deleted and created again.
	for _, test := range []struct {
		name string
		op   catalog.Operation
		gone time.Duration // between deletion and creation
		want int64         // 0 for none
	}{
		{"put after a deletion keeps the past prices", catalog.PutProduct{Data: catalog.ProductData{Name: "x", Price: inEuro(70)}}, 0, 80},
		{"so does creation", catalog.CreateProduct{Data: catalog.ProductData{Name: "x", Price: inEuro(70)}}, day, 80},
		{"a price that ended more than 30 days before does not count", catalog.PutProduct{Data: catalog.ProductData{Name: "x", Price: inEuro(70)}}, 29*day + time.Hour, 90},
		{"after 30 days none does", catalog.PutProduct{Data: catalog.ProductData{Name: "x", Price: inEuro(70)}}, 30 * day, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := prices(t, []catalog.Money{inEuro(100), inEuro(80), inEuro(90)}, []time.Duration{0, day, day})
			for _, step := range []struct {
				op    catalog.Operation
				after time.Duration
			}{{catalog.DeleteProduct{}, day}, {test.op, test.gone}} {
				e, err := catalog.Decide(p, catalog.Command{Product: p.ID, Op: step.op}, p.UpdatedAt.Add(step.after))
				if err != nil {
					t.Fatal(err)
				}
				p = e.Product
			}
			if got, ok := p.LowestPrior(); ok != (test.want > 0) || got.Units != test.want {
				t.Errorf("LowestPrior = %v, %v; want %d", got, ok, test.want)
			}
		})
	}
}

// TestLowestPrior_allPrices compares the result with one computed from all prices
// that the product ever had. With more prices than a product carries, the result
// may be lower, but never higher.
func TestLowestPrior_allPrices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		few := rapid.Bool().Draw(t, "few")
		n := rapid.IntRange(2, 20).Draw(t, "n")
		rising := false
		if !few {
			n, rising = rapid.IntRange(100, 300).Draw(t, "many"), rapid.Bool().Draw(t, "rising")
		}
		var (
			list  = make([]catalog.Money, n)
			after = make([]time.Duration, n)
		)
		for i := range list {
			list[i] = catalog.Money{
				Decimal:  catalog.Decimal{Units: rapid.Int64Range(1, 30).Draw(t, "units")},
				Currency: rapid.SampledFrom([]string{"EUR", "EUR", "EUR", "JPY"}).Draw(t, "currency"),
			}
			if rising {
				list[i].Units += int64(30 * i)
			}
			after[i] = rapid.SampledFrom([]time.Duration{0, time.Microsecond, time.Hour, 10 * 24 * time.Hour, 30 * 24 * time.Hour}).Draw(t, "after")
			if !few {
				after[i] = min(after[i], time.Hour)
			}
		}
		p, began := prices(t, list, after)
		last := n - 1
		for last > 0 && list[last-1] == list[last] {
			last--
		}
		var want catalog.Money
		for i := range last {
			if until := began[i+1]; list[i].Currency == p.Price.Currency && until.After(began[last].Add(-catalog.PriorTerm)) &&
				(want.Currency == "" || list[i].Cmp(want.Decimal) < 0) {
				want = list[i]
			}
		}
		got, _ := p.LowestPrior()
		if got != want && (few || got.Currency != want.Currency || got.Cmp(want.Decimal) > 0) {
			t.Fatalf("LowestPrior = %v; want %v, of %v", got, want, p.PastPrices)
		}
		if len(p.PastPrices) > catalog.MaxPastPrices {
			t.Fatalf("%d past prices; want at most %d", len(p.PastPrices), catalog.MaxPastPrices)
		}
		if !slices.IsSortedFunc(p.PastPrices, func(a, b catalog.PastPrice) int { return a.Until.Compare(b.Until) }) {
			t.Fatalf("past prices are not in order: %v", p.PastPrices)
		}
	})
}
