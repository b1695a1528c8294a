package catalog

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Decide applies c to p, the current state of its product, and returns the event.
// A product that was never created is the zero Product with its ID. The event has
// no position yet; its outcome is [Unchanged] if p already has the data that c
// sets. A command that cannot be applied returns a *Refusal instead.
func Decide(p Product, c Command, now time.Time) (Event, error) {
	if err := c.If.check(p); err != nil {
		return Event{}, err
	}
	switch op := c.Op.(type) {
	case CreateProduct:
		if p.Exists() {
			return Event{}, &Refusal{Code: CodeExists, Reason: fmt.Sprintf("product %s already exists", p.ID)}
		}
		return c.replace(p, op.Data, now)
	case PutProduct:
		return c.replace(p, op.Data, now)
	case PatchProduct:
		if !p.Exists() && !op.Create {
			return Event{}, notFound(p)
		}
		if !p.Exists() && op.Patch.Name == nil {
			// Prices for a product that does not exist are more likely than a product
			// without a name.
			return Event{}, &Refusal{Code: CodeNotFound, Reason: "there is no such product, and the row cannot create one: it has no name"}
		}
		if !p.Exists() && op.Patch.Amount == nil && op.Patch.Currency != nil {
			return Event{}, Invalid("price.amount", "is missing, and a new product needs one")
		}
		return c.replace(p, op.Patch.Apply(p.ProductData), now)
	case DeleteProduct:
		if !p.Exists() {
			return Event{}, notFound(p)
		}
		gone := Product{ID: p.ID, Version: p.Version + 1, Deleted: true, CreatedAt: p.CreatedAt, UpdatedAt: notBefore(now, p.UpdatedAt)}
		// The past prices outlive the product: one that is deleted and created again
		// within PriorTerm still has them.
		gone.PastPrices = appendPastPrice(p.PastPrices, p.Price, gone.UpdatedAt)
		e := c.event(Deleted, gone, gone.UpdatedAt)
		e.PreviousCategory = p.Category
		return e, nil
	case VoidPrice:
		return c.voidPrice(p, op, now)
	}
	return Event{}, Invalid("operation", "is unknown to this version of the writer; update the writer first, then the gateway")
}

// replace returns the event that gives p the data d.
func (c Command) replace(p Product, d ProductData, now time.Time) (Event, error) {
	if err := d.Validate(); err != nil {
		return Event{}, err
	}
	if p.Exists() && p.ProductData.Equal(d) {
		return c.event(Unchanged, p, now), nil
	}
	outcome := Changed
	next := Product{ID: p.ID, ProductData: d, Version: p.Version + 1, CreatedAt: p.CreatedAt, UpdatedAt: notBefore(now, p.UpdatedAt)}
	if !p.Exists() {
		outcome, next.CreatedAt = Created, next.UpdatedAt
		next.PastPrices = since(p.PastPrices, next.UpdatedAt.Add(-PriorTerm))
	} else if next.PastPrices = p.PastPrices; p.Price != d.Price {
		next.PastPrices = appendPastPrice(p.PastPrices, p.Price, next.UpdatedAt)
	}
	e := c.event(outcome, next, next.UpdatedAt)
	if p.Category != d.Category {
		e.PreviousCategory = p.Category
	}
	return e, nil
}

// voidPrice returns the event that removes a mistaken price from the past prices.
func (c Command) voidPrice(p Product, op VoidPrice, now time.Time) (Event, error) {
	if !p.Exists() {
		return Event{}, notFound(p)
	}
	if err := op.Validate(); err != nil {
		return Event{}, err
	}
	if !slices.ContainsFunc(inPriorTerm(p.PastPrices), func(past PastPrice) bool { return past.Money == op.Price }) {
		return Event{}, Invalid("price", fmt.Sprintf("%s is no past price of the last 30 days; to correct the present price, set the right one first", op.Price))
	}
	next := p
	next.PastPrices, next.Version, next.UpdatedAt = withoutPrice(p.PastPrices, op.Price, p.Price, p.CreatedAt), p.Version+1, notBefore(now, p.UpdatedAt)
	e := c.event(Changed, next, next.UpdatedAt)
	e.Void = &op
	return e, nil
}

func (c Command) event(o Outcome, p Product, at time.Time) Event {
	return Event{
		Outcome: o, Product: p,
		Command: c.ID, Fingerprint: c.Fingerprint(), Actor: c.Actor, Trace: c.Trace,
		AcceptedAt: c.AcceptedAt, SettledAt: at,
	}
}

// Refused returns the event that records the refusal of the command on product p.
func (c Command) Refused(p Product, r *Refusal, now time.Time) Event {
	e := c.event(Refused, Product{ID: p.ID, Version: p.Version}, now)
	e.Refusal = r
	return e
}

// check returns nil if the condition holds for p, or a *Refusal.
func (c Condition) check(p Product) error {
	switch {
	case c.Version != 0 && !p.Exists():
		return &Refusal{Code: CodeVersion, Reason: fmt.Sprintf("product %s does not exist, so it is not at version %d", p.ID, c.Version)}
	case c.Version != 0 && c.Version != p.Version && !slices.Contains(c.OrVersions, p.Version):
		return &Refusal{Code: CodeVersion, Reason: fmt.Sprintf("product %s is at version %d, not %s; read the product again", p.ID, p.Version, c.versions())}
	case c.Exists && !p.Exists():
		return &Refusal{Code: CodeVersion, Reason: fmt.Sprintf("product %s does not exist", p.ID)}
	case c.Absent && p.Exists():
		return &Refusal{Code: CodeVersion, Reason: fmt.Sprintf("product %s already exists, at version %d", p.ID, p.Version)}
	}
	return nil
}

// versions lists the versions at which c holds, such as "1 or 3".
func (c Condition) versions() string {
	s := strconv.FormatInt(c.Version, 10)
	for _, v := range c.OrVersions {
		s += " or " + strconv.FormatInt(v, 10)
	}
	return s
}

func notFound(p Product) error {
	return &Refusal{Code: CodeNotFound, Reason: fmt.Sprintf("product %s does not exist", p.ID)}
}

// notBefore returns now, or last if now is earlier: the times of a product never
// run backwards, even when the clocks of two writers differ.
func notBefore(now, last time.Time) time.Time {
	if now.Before(last) {
		return last
	}
	return now
}
