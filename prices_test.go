package catalog_test

import (
	"errors"
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
			if got, ok := p.LowestPrior(catalog.BeforeLastReduction); ok != (test.want > 0) || got.Units != test.want {
				t.Errorf("LowestPrior = %v, %v; want %d", got, ok, test.want)
			}
		})
	}
	t.Run("a change of another field keeps the result", func(t *testing.T) {
		p, _ := prices(t, []catalog.Money{inEuro(100), inEuro(80)}, []time.Duration{0, day})
		name := "y"
		e, err := catalog.Decide(p, catalog.Command{Product: p.ID, Op: catalog.PatchProduct{Patch: catalog.Patch{Name: &name}}}, p.UpdatedAt.Add(400*day))
		if got, _ := e.Product.LowestPrior(catalog.BeforeLastReduction); err != nil || got != inEuro(100) {
			t.Errorf("LowestPrior = %v, %v; want 100 EUR", got, err)
		}
	})
	// The product had the prices 100, 80 and 90 before it is deleted and created again.
	for _, test := range []struct {
		name string
		op   catalog.Operation
		gone time.Duration // time between deletion and creation
		want int64         // the lowest price; 0 for none
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
			if got, ok := p.LowestPrior(catalog.BeforeLastReduction); ok != (test.want > 0) || got.Units != test.want {
				t.Errorf("LowestPrior = %v, %v; want %d", got, ok, test.want)
			}
		})
	}
}

func TestLowestPrior_reductionsInSteps(t *testing.T) {
	const day = 24 * time.Hour
	yen := catalog.Money{Decimal: catalog.Decimal{Units: 5}, Currency: "JPY"}
	for _, test := range []struct {
		name        string
		prices      []catalog.Money
		after       []time.Duration
		last, first int64 // euros, before the last and before the first reduction; 0 for none
	}{
		{"one reduction has one prior price", []catalog.Money{inEuro(100), inEuro(80)}, []time.Duration{0, day}, 100, 100},
		{"of two reductions the first counts", []catalog.Money{inEuro(100), inEuro(80), inEuro(60)}, []time.Duration{0, day, day}, 80, 100},
		{"also after months", []catalog.Money{inEuro(100), inEuro(90), inEuro(80), inEuro(70)}, []time.Duration{0, 60 * day, 60 * day, 60 * day}, 80, 100},
		{"the lowest price of the 30 days before it", []catalog.Money{inEuro(70), inEuro(100), inEuro(90), inEuro(80)}, []time.Duration{0, day, day, 90 * day}, 90, 70},
		{"an increase interrupts", []catalog.Money{inEuro(100), inEuro(70), inEuro(80), inEuro(60)}, []time.Duration{0, day, day, day}, 70, 70},
		{"an interrupted series is forgotten", []catalog.Money{inEuro(100), inEuro(70), inEuro(80), inEuro(60)}, []time.Duration{0, day, 40 * day, 40 * day}, 80, 80},
		{"an increase has no series", []catalog.Money{inEuro(100), inEuro(80), inEuro(60), inEuro(110)}, []time.Duration{0, day, day, day}, 60, 60},
		{"another currency interrupts", []catalog.Money{inEuro(100), yen, inEuro(80), inEuro(60)}, []time.Duration{0, day, 40 * day, day}, 80, 80},
		{"a price that never changed", []catalog.Money{inEuro(100)}, []time.Duration{0}, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := prices(t, test.prices, test.after)
			for policy, want := range map[catalog.PriorPolicy]int64{catalog.BeforeLastReduction: test.last, catalog.BeforeFirstReduction: test.first} {
				if got, ok := p.LowestPrior(policy); ok != (want > 0) || got.Units != want {
					t.Errorf("LowestPrior(%d) = %v, %v; want %d, of %v", policy, got, ok, want, p.PastPrices)
				}
			}
		})
	}
	t.Run("a void price between them does not interrupt", func(t *testing.T) {
		p, _ := prices(t, []catalog.Money{inEuro(100), inEuro(90), inEuro(1), inEuro(80)}, []time.Duration{0, 40 * day, 40 * day, day})
		e, err := catalog.Decide(p, catalog.Command{Product: p.ID, Op: catalog.VoidPrice{Price: inEuro(1), Reason: "typing error"}}, p.UpdatedAt)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := e.Product.LowestPrior(catalog.BeforeFirstReduction); got != inEuro(100) {
			t.Errorf("LowestPrior = %v; want 100 EUR, of %v", got, e.Product.PastPrices)
		}
	})
	t.Run("more reductions than a product carries show no higher price", func(t *testing.T) {
		list := make([]catalog.Money, 2*catalog.MaxPastPrices)
		for i := range list {
			list[i] = inEuro(int64(1000 - i))
		}
		p, _ := prices(t, list, make([]time.Duration, len(list)))
		if got, ok := p.LowestPrior(catalog.BeforeFirstReduction); !ok || got.Cmp(list[0].Decimal) > 0 || len(p.PastPrices) > catalog.MaxPastPrices {
			t.Errorf("LowestPrior = %v, %v, of %d prices", got, ok, len(p.PastPrices))
		}
	})
}

func TestWithFormerPrices(t *testing.T) {
	const day = 24 * time.Hour
	p, began := prices(t, []catalog.Money{inEuro(30), inEuro(50)}, []time.Duration{0, 40 * day})
	now := began[1].Add(35 * day)
	for _, test := range []struct {
		name   string
		former int64
		ended  time.Duration // how long ago the price ended
		want   int64
	}{
		{"a higher price beside the present one makes the present one the prior price", 60, day, 50},
		{"a lower price beside the present one is the prior price", 40, day, 40},
		{"a price that ended more than 30 days before does not count", 20, 30 * day, 30},
	} {
		t.Run(test.name, func(t *testing.T) {
			next := p.WithFormerPrices([]catalog.PastPrice{{Money: inEuro(test.former), Until: now.Add(-test.ended)}}, now)
			if got, _ := next.LowestPrior(catalog.BeforeLastReduction); got != inEuro(test.want) {
				t.Errorf("LowestPrior = %v; want %d, of %v", got, test.want, next.PastPrices)
			}
			if len(p.PastPrices) != 1 {
				t.Errorf("the product itself has the past prices %v", p.PastPrices)
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
		got, _ := p.LowestPrior(catalog.BeforeLastReduction)
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

func TestVoidPrice(t *testing.T) {
	const day = 24 * time.Hour
	void := func(p catalog.Product, price catalog.Money) (catalog.Event, error) {
		return catalog.Decide(p, catalog.Command{Product: p.ID, Op: catalog.VoidPrice{Price: price, Reason: "typing error"}}, p.UpdatedAt.Add(time.Hour))
	}
	for _, test := range []struct {
		name   string
		prices []catalog.Money
		after  []time.Duration
		void   int64
		want   int64 // euros; 0 for none
	}{
		{"a mistake that was corrected is forgotten", []catalog.Money{inEuro(100), inEuro(1), inEuro(100)}, []time.Duration{0, day, day}, 1, 0},
		{"the price before it applied in its place", []catalog.Money{inEuro(100), inEuro(1), inEuro(90)}, []time.Duration{0, day, day}, 1, 100},
		{"also if it lasted longer than 30 days", []catalog.Money{inEuro(100), inEuro(1), inEuro(90)}, []time.Duration{0, day, 40 * day}, 1, 100},
		{"until the mistake was corrected", []catalog.Money{inEuro(60), inEuro(1), inEuro(95), inEuro(90)}, []time.Duration{0, day, 40 * day, day}, 1, 60},
		{"every time that it applied", []catalog.Money{inEuro(100), inEuro(1), inEuro(80), inEuro(1), inEuro(90)}, []time.Duration{0, day, day, day, day}, 1, 80},
		{"a first price has none before it", []catalog.Money{inEuro(1), inEuro(100)}, []time.Duration{0, day}, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := prices(t, test.prices, test.after)
			e, err := void(p, inEuro(test.void))
			if err != nil || e.Outcome != catalog.Changed || e.Product.Version != p.Version+1 || !e.Product.ProductData.Equal(p.ProductData) || e.Void == nil || e.Void.Reason != "typing error" {
				t.Fatalf("event = %+v, %v; want a new version with the same data, and the reason", e, err)
			}
			if got, ok := e.Product.LowestPrior(catalog.BeforeLastReduction); ok != (test.want > 0) || got.Units != test.want {
				t.Errorf("LowestPrior = %v, %v; want %d", got, ok, test.want)
			}
		})
	}
	for name, price := range map[string]catalog.Money{
		"a price that the product never had": inEuro(7), "the present price": inEuro(90),
		"a price that ended long ago": inEuro(50), "a void price again": inEuro(1), "no price": {},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			p, _ := prices(t, []catalog.Money{inEuro(50), inEuro(60), inEuro(1), inEuro(90)}, []time.Duration{0, day, 60 * day, day})
			e, err := void(p, inEuro(1))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := void(e.Product, price); !errors.Is(err, catalog.ErrInvalid) {
				t.Errorf("error = %v; want %v", err, catalog.ErrInvalid)
			}
		})
	}
	t.Run("a product that does not exist is refused", func(t *testing.T) {
		if _, err := void(catalog.Product{ID: catalog.DerivedID("p")}, inEuro(1)); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("error = %v; want %v", err, catalog.ErrNotFound)
		}
	})
	t.Run("the result is that of the prices without the mistake", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(2, 6).Draw(t, "n")
			list, right, after := make([]catalog.Money, n), make([]catalog.Money, n), make([]time.Duration, n)
			for i := range list {
				lowest := int64(1)
				if i == 0 || i == n-1 {
					lowest = 2 // the first and the present price are right
				}
				list[i] = inEuro(rapid.Int64Range(lowest, 5).Draw(t, "units"))
				after[i] = rapid.SampledFrom([]time.Duration{time.Hour, 5 * day, 10 * day}).Draw(t, "after")
				right[i] = list[i]
				if i > 0 && list[i] == inEuro(1) {
					right[i] = right[i-1]
				}
			}
			p, _ := prices(t, list, after)
			e, err := void(p, inEuro(1))
			if err != nil {
				return // no mistake in the last 30 days
			}
			expected, _ := prices(t, right, after)
			got, _ := e.Product.LowestPrior(catalog.BeforeLastReduction)
			if want, _ := expected.LowestPrior(catalog.BeforeLastReduction); got != want {
				t.Fatalf("LowestPrior = %v of %v; want %v of %v", got, e.Product.PastPrices, want, expected.PastPrices)
			}
		})
	})
}
