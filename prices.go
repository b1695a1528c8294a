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
	// pastTerm is how long a product carries a past price, counted back from the first of
	// the present reductions. A void price between two equal ones moves the beginning of
	// the present price back, and with it PriorTerm.
	pastTerm = 2 * PriorTerm
)

// PriorPolicy selects the 30 days whose lowest price is the prior price of a reduction
// that followed other reductions without an increase between them.
type PriorPolicy int

// The policies. Member states of the EU may allow BeforeFirstReduction (Directive 98/6/EC,
// Article 6a, paragraph 5).
const (
	BeforeLastReduction  PriorPolicy = iota // the 30 days before the present price began
	BeforeFirstReduction                    // the 30 days before the first of these reductions
)

// LowestPrior returns the lowest price, in the present currency, that applied in
// the 30 days before the present price began, or before the time that the policy
// selects. Shops in the EU must show this prior price with a reduction. ok is false if
// the product has had no other price in this currency in those days.
//
// The result does not depend on the clock: it changes only when the price does.
func (p Product) LowestPrior(policy PriorPolicy) (lowest Money, ok bool) {
	prior := p.PastPrices
	if policy == BeforeFirstReduction {
		prior = beforeReductions(prior, p.Price)
	}
	for _, past := range inPriorTerm(prior) {
		if past.Currency == p.Price.Currency && (!ok || past.Cmp(lowest.Decimal) < 0) {
			lowest, ok = past.Money, true
		}
	}
	return lowest, ok
}

// inPriorTerm returns the past prices that applied within PriorTerm before the last one
// ended.
func inPriorTerm(past []PastPrice) []PastPrice {
	if len(past) == 0 {
		return nil
	}
	return since(past, past[len(past)-1].Until.Add(-PriorTerm))
}

// beforeReductions returns the past prices up to the one before the first of the
// reductions that led to the price, each lower than the price before it and in the same
// currency. It always keeps the oldest price.
func beforeReductions(past []PastPrice, price Money) []PastPrice {
	for len(past) > 1 && reduced(past[len(past)-1].Money, price) && reduced(past[len(past)-2].Money, past[len(past)-1].Money) {
		past, price = past[:len(past)-1], past[len(past)-1].Money
	}
	return past
}

// reduced reports whether the second price is a reduction of the first.
func reduced(before, price Money) bool {
	return before.Currency == price.Currency && price.Cmp(before.Decimal) < 0
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
// price was replaced at the given time: those within pastTerm, and those that
// BeforeFirstReduction needs.
func appendPastPrice(past []PastPrice, price Money, at time.Time) []PastPrice {
	from := at
	if n := len(past); n > 0 && reduced(past[n-1].Money, price) {
		before := beforeReductions(past, price)
		from = before[len(before)-1].Until
	}
	return limitPastPrices(append(slices.Clone(since(past, from.Add(-pastTerm))), PastPrice{price, at}))
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

// WithFormerPrices returns p with the past prices of deleted products whose SKU it gets at
// the given time. If one of them was sold after the present price of p began, two prices
// applied at once: then the present price counts as a past price, too, so that the prior
// price is never above it.
func (p Product) WithFormerPrices(former []PastPrice, at time.Time) Product {
	at = notBefore(at, p.UpdatedAt)
	former = since(former, at.Add(-PriorTerm))
	if len(former) == 0 {
		return p
	}
	past := p.PastPrices
	began := p.CreatedAt
	if len(past) > 0 {
		began = past[len(past)-1].Until
	}
	if p.Exists() && former[len(former)-1].Until.After(began) {
		past = append(slices.Clip(past), PastPrice{p.Price, at})
	}
	p.PastPrices = MergePastPrices(past, former)
	return p
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
// price of the same amount is that price, except for what applied before the product
// was created again.
func withoutPrice(past []PastPrice, void, present Money, created time.Time) []PastPrice {
	var next []PastPrice
	var before int      // number of next that began before the creation
	var until time.Time // end of the last one of them, at the latest the creation
	for _, p := range past {
		switch last := len(next) - 1; {
		case last >= 0 && (p.Money == void || p.Money == next[last].Money):
			next[last].Until = p.Until
		case p.Money != void:
			next = append(next, p)
		}
		if !p.Until.After(created) {
			before, until = len(next), p.Until
		}
	}
	switch last := len(next) - 1; {
	case last < 0 || next[last].Money != present:
	case last < before:
		next[last].Until = until
	default:
		next = next[:last]
	}
	return next
}
