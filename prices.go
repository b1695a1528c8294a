package catalog

import (
	"slices"
	"time"
)

// PastPrice is an earlier price of a product.
type PastPrice struct {
	Money
	Until time.Time // time at which the next price replaced it
}

const (
	// MaxPastPrices limits the past prices that a product carries.
	MaxPastPrices = 100
	// pastPriceSize is about what a past price takes as a record, in bytes.
	pastPriceSize = 32
	// PriorTerm is the period before a price began in which earlier prices count as
	// prior prices. Directive 98/6/EC, Article 6a, requires at least 30 days.
	PriorTerm = 30 * 24 * time.Hour
	// pastTerm is how long a product carries a past price. A void price between two equal
	// ones moves the beginning of the present price back, and with it PriorTerm.
	pastTerm = 2 * PriorTerm
)

// LowestPrior returns the lowest price, in the present currency, that applied in
// the 30 days before the present price began. Shops in the EU must show this prior
// price with a reduction. ok is false if the product has had no other price in
// this currency in those days.
//
// The result does not depend on the clock: it changes only when the price does.
func (p Product) LowestPrior() (lowest Money, ok bool) {
	for _, past := range p.priorPrices() {
		if past.Currency == p.Price.Currency && (!ok || past.Cmp(lowest.Decimal) < 0) {
			lowest, ok = past.Money, true
		}
	}
	return lowest, ok
}

// priorPrices returns the past prices that applied within PriorTerm before the present
// price began.
func (p Product) priorPrices() []PastPrice {
	if len(p.PastPrices) == 0 {
		return nil
	}
	began := p.PastPrices[len(p.PastPrices)-1].Until
	return since(p.PastPrices, began.Add(-PriorTerm))
}

// Validate returns nil, or a *Refusal that lists every field that breaks a rule.
func (v VoidPrice) Validate() error {
	r := &Refusal{}
	v.Price.validate(r)
	if reason := checkText(v.Reason, KindLine, MaxVoidReason); reason != "" {
		r.Add("reason", reason+"; say why the price was a mistake")
	}
	return r.Err()
}

// since returns the past prices that applied after the given time.
func since(past []PastPrice, at time.Time) []PastPrice {
	i := slices.IndexFunc(past, func(p PastPrice) bool { return p.Until.After(at) })
	if i < 0 {
		return nil
	}
	return past[i:]
}

// appendPastPrice returns the past prices of a product, oldest first, after its
// price was replaced at the given time: those within pastTerm.
func appendPastPrice(past []PastPrice, price Money, at time.Time) []PastPrice {
	return limitPastPrices(append(slices.Clone(since(past, at.Add(-pastTerm))), PastPrice{price, at}))
}

// limitPastPrices drops the oldest past prices beyond MaxPastPrices. It may change the
// given list.
func limitPastPrices(past []PastPrice) []PastPrice {
	for len(past) > MaxPastPrices {
		// The next price of the same currency takes over a lower amount: to show a prior
		// price that is too low harms no buyer.
		oldest := past[0]
		past = past[1:]
		if i := slices.IndexFunc(past, func(p PastPrice) bool { return p.Currency == oldest.Currency }); i >= 0 && oldest.Cmp(past[i].Decimal) < 0 {
			past[i].Decimal = oldest.Decimal
		}
	}
	return past
}

// MergePastPrices returns the past prices of two products that were sold under one SKU,
// one after the other, as those of one product.
func MergePastPrices(a, b []PastPrice) []PastPrice {
	switch {
	case len(b) == 0:
		return a
	case len(a) == 0:
		return b
	}
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(p, q PastPrice) int { return p.Until.Compare(q.Until) })
	return limitPastPrices(slices.CompactFunc(all, func(p, q PastPrice) bool { return p.Money == q.Money && p.Until.Equal(q.Until) }))
}

// withoutPrice returns the past prices as if the void price had never applied: the
// price before it applied in its place. A price that then lasts until the present
// price of the same amount is that price.
func withoutPrice(past []PastPrice, void, present Money) []PastPrice {
	var next []PastPrice
	for _, p := range past {
		switch last := len(next) - 1; {
		case last >= 0 && (p.Money == void || p.Money == next[last].Money):
			next[last].Until = p.Until
		case p.Money != void:
			next = append(next, p)
		}
	}
	if last := len(next) - 1; last >= 0 && next[last].Money == present {
		next = next[:last]
	}
	return next
}
