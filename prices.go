package catalog

import (
	"slices"
	"time"
)

// PastPrice is a price that a product had until another took its place.
type PastPrice struct {
	Money
	Until time.Time
}

// Limits of the past prices that a product carries.
const (
	// MaxPastPrices is how many there are at most.
	MaxPastPrices = 100
	// PriorTerm is how long before a price began those count with which it is
	// compared: Directive 98/6/EC, Article 6a, asks for 30 days or more.
	PriorTerm = 30 * 24 * time.Hour
)

// LowestPrior is the lowest price, in the present currency, that applied in the
// 30 days before the present price began: what shops of the EU show as the
// prior price of a reduction. There is none while the product has had no other
// price in that currency.
//
// It depends on no clock: it is the same for as long as the price is.
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

// passed is the past prices of a product, oldest first, after its price has given
// way to another. It leaves out what can be the lowest no more: what is too old,
// and what lasted less long than one that is as low. So those of one currency
// rise from the oldest to the newest.
func passed(past []PastPrice, price Money, at time.Time) []PastPrice {
	next := make([]PastPrice, 0, len(past)+1)
	for _, p := range past {
		if p.Until.After(at.Add(-PriorTerm)) && (p.Currency != price.Currency || p.Cmp(price.Decimal) < 0) {
			next = append(next, p)
		}
	}
	next = append(next, PastPrice{price, at})
	if len(next) > MaxPastPrices {
		// The oldest is the lowest of its currency: it lasts a little longer, since
		// to show too low a price harms no buyer.
		oldest := next[0]
		next = next[1:]
		if i := slices.IndexFunc(next, func(p PastPrice) bool { return p.Currency == oldest.Currency }); i >= 0 {
			next[i].Decimal = oldest.Decimal
		}
	}
	return next
}
