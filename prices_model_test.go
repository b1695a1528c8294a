package catalog_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
)

// offer is a price of a model of the price history: with its beginning and its end, and
// never forgotten.
type offer struct {
	price       catalog.Money
	from, until time.Time
}

// priceModel is the history of one product by the definition of the prior price: the lowest
// price in the present currency of the 30 days before the present price began. While the
// product is deleted, it has no present price.
type priceModel struct {
	past    []offer
	present *offer
}

// set gives the product a price. After a deletion, it creates the product again, and prices that
// ended 30 days before are forgotten.
func (m *priceModel) set(price catalog.Money, now time.Time) {
	switch {
	case m.present != nil && m.present.price == price:
		return
	case m.present != nil:
		m.end(now)
	default:
		m.past = slices.DeleteFunc(m.past, func(o offer) bool { return !o.until.After(now.Add(-30 * 24 * time.Hour)) })
	}
	m.present = &offer{price: price, from: now}
}

// end ends the present price.
func (m *priceModel) end(now time.Time) {
	m.present.until = now
	m.past = append(m.past, *m.present)
	m.present = nil
}

// void makes the history one in which the price before the mistake was kept.
func (m *priceModel) void(mistake catalog.Money) {
	old, present := m.past, *m.present
	m.past = nil
	for _, o := range append(old, present) {
		last := len(m.past) - 1
		if o.price == mistake {
			if last < 0 {
				continue
			}
			o.price = m.past[last].price
		}
		if last >= 0 && m.past[last].price == o.price && m.past[last].until.Equal(o.from) {
			m.past[last].until = o.until
			continue
		}
		m.past = append(m.past, o)
	}
	m.present, m.past = &m.past[len(m.past)-1], m.past[:len(m.past)-1]
}

// prior returns the lowest prior price.
func (m *priceModel) prior() (lowest catalog.Money, ok bool) {
	for _, o := range m.past {
		if o.price.Currency == m.present.price.Currency && o.until.After(m.present.from.Add(-30*24*time.Hour)) && (!ok || o.price.Cmp(lowest.Decimal) < 0) {
			lowest, ok = o.price, true
		}
	}
	return lowest, ok
}

// TestLowestPrior_model changes, imports, deletes, restores and creates again a product with
// prices in two currencies, of which some are marked as mistakes, and compares its prior
// price with that of the model after each step. A prior price that equals the present one
// may be missing, since it shows no reduction.
func TestLowestPrior_model(t *testing.T) {
	compared, withVoid, afterDeletion := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p, m := catalog.Product{ID: catalog.DerivedID("p")}, &priceModel{}
		now := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
		start, voided, deleted := now, false, false
		decide := func(op catalog.Operation) error {
			e, err := catalog.Decide(p, catalog.Command{Product: p.ID, Op: op}, now)
			if err == nil {
				p = e.Product
			}
			return err
		}
		var versions []catalog.ProductData
		for range rapid.IntRange(2, 40).Draw(t, "steps") {
			now = now.Add(rapid.SampledFrom([]time.Duration{time.Microsecond, time.Hour, 5 * 24 * time.Hour, 29 * 24 * time.Hour, 30 * 24 * time.Hour}).Draw(t, "after"))
			price := catalog.Money{Decimal: catalog.Decimal{Units: rapid.Int64Range(1, 6).Draw(t, "units")}, Currency: rapid.SampledFrom([]string{"EUR", "EUR", "JPY"}).Draw(t, "currency")}
			name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
			var err error
			switch op := rapid.SampledFrom([]string{"put", "import", "delete", "restore", "void"}).Draw(t, "op"); {
			case op == "import":
				if err = decide(catalog.PatchProduct{Patch: catalog.Patch{Name: &name, Amount: &price.Decimal, Currency: &price.Currency}, Create: true}); err == nil {
					m.set(price, now)
				}
			case op == "delete" && p.Exists():
				if err = decide(catalog.DeleteProduct{}); err == nil {
					m.end(now)
					deleted = true
				}
			case op == "restore" && len(versions) > 0:
				old := versions[int(price.Units)%len(versions)]
				if err = decide(catalog.PutProduct{Data: old}); err == nil {
					m.set(old.Price, now)
				}
			case op == "void" && p.Exists() && len(p.PastPrices) > 0:
				mistake := p.PastPrices[int(price.Units)%len(p.PastPrices)].Money
				if mistake == p.Price { // the price is a mistake only where it has ended
					continue
				}
				if decide(catalog.VoidPrice{Price: mistake, Reason: "typing error"}) == nil { // else it ended too long ago
					m.void(mistake)
					voided = true
				}
			default:
				if err = decide(catalog.PutProduct{Data: catalog.ProductData{Name: name, Price: price}}); err == nil {
					m.set(price, now)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if !p.Exists() {
				continue
			}
			versions = append(versions, p.ProductData)
			if voided && now.Sub(start) >= 60*24*time.Hour {
				break // the product may have forgotten the price before a mistake that lasted long
			}
			got, ok := p.LowestPrior(catalog.BeforeLastReduction)
			want, has := m.prior()
			if (got != want || ok != has) && !(has && !ok && want == p.Price) {
				t.Fatalf("the prior price is %v, %v; want %v, %v: past prices %v before %v, in the model %v", got, ok, want, has, p.PastPrices, p.Price, m.past)
			}
			if has {
				compared++
				if voided {
					withVoid++
				}
				if deleted {
					afterDeletion++
				}
			}
			if !slices.IsSortedFunc(p.PastPrices, func(a, b catalog.PastPrice) int { return a.Until.Compare(b.Until) }) {
				t.Fatalf("past prices are not in order: %v", p.PastPrices)
			}
		}
	})
	if compared < 100 || withVoid < 10 || afterDeletion < 10 {
		t.Errorf("void: %d prior prices, %d with a void price and %d after a deletion were compared", compared, withVoid, afterDeletion)
	}
}
