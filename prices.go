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
)

// LowestPrior returns the lowest price, in the present currency, that applied in
// the 30 days before the present price began. Shops in the EU must show this prior
// price with a reduction. ok is false if the product has had no other price in
// this currency in those days.
//
// The result does not depend on the clock: it changes only when the price does.
func (p Product) LowestPrior() (lowest Money, ok bool) {
	if len(p.PastPrices) == 0 {
		return Money{}, false
	}
	began := p.PastPrices[len(p.PastPrices)-1].Until
	for _, past := range p.PastPrices {
		if past.Currency == p.Price.Currency && past.Until.After(began.Add(-PriorTerm)) && (!ok || past.Cmp(lowest.Decimal) < 0) {
			lowest, ok = past.Money, true
		}
	}
	return lowest, ok
}

// recentPrices returns the past prices that applied within PriorTerm before the given
// time, at which a deleted product is created again.
func recentPrices(past []PastPrice, at time.Time) []PastPrice {
	i := slices.IndexFunc(past, func(p PastPrice) bool { return p.Until.After(at.Add(-PriorTerm)) })
	if i < 0 {
		return nil
	}
	return past[i:]
}

// appendPastPrice returns the past prices of a product, oldest first, after its
// price was replaced at the given time. It drops prices that can no longer be the
// lowest: those older than PriorTerm, and those that are not lower than a later
// one. The remaining prices of one currency therefore rise from oldest to newest.
func appendPastPrice(past []PastPrice, price Money, at time.Time) []PastPrice {
	next := make([]PastPrice, 0, len(past)+1)
	for _, p := range past {
		if p.Until.After(at.Add(-PriorTerm)) && (p.Currency != price.Currency || p.Cmp(price.Decimal) < 0) {
			next = append(next, p)
		}
	}
	next = append(next, PastPrice{price, at})
	if len(next) > MaxPastPrices {
		// The oldest price is the lowest of its currency. The next one takes over its
		// amount: to show a prior price that is too low harms no buyer.
		oldest := next[0]
		next = next[1:]
		if i := slices.IndexFunc(next, func(p PastPrice) bool { return p.Currency == oldest.Currency }); i >= 0 {
			next[i].Decimal = oldest.Decimal
		}
	}
	return next
}
