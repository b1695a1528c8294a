package catalog

import (
	"fmt"
	"time"
)

// Decide says what c makes of p, the state of its product (the zero Product,
// but for the ID, where there has never been one). It answers either an event
// without a position, or a *Refusal. The event is Unchanged where the product
// is already as c wishes.
func Decide(p Product, c Command, now time.Time) (Event, error) {
	if err := c.If.check(p); err != nil {
		return Event{}, err
	}
	switch op := c.Op.(type) {
	case CreateProduct:
		if p.Exists() {
			return Event{}, &Refusal{Code: CodeExists, Reason: fmt.Sprintf("product %s exists already", p.ID)}
		}
		return c.write(p, op.Data, now)
	case PutProduct:
		return c.write(p, op.Data, now)
	case PatchProduct:
		if !p.Exists() && !op.Create {
			return Event{}, missing(p)
		}
		return c.write(p, op.Patch.Apply(p.ProductData), now)
	case DeleteProduct:
		if !p.Exists() {
			return Event{}, missing(p)
		}
		gone := Product{ID: p.ID, Version: p.Version + 1, Deleted: true, CreatedAt: p.CreatedAt, UpdatedAt: later(now, p.UpdatedAt)}
		e := c.event(Deleted, gone, gone.UpdatedAt)
		e.PreviousCategory = p.Category
		return e, nil
	}
	return Event{}, Invalid("operation", "is not one that this version knows")
}

// write is the event that makes p say what d says.
func (c Command) write(p Product, d ProductData, now time.Time) (Event, error) {
	if err := d.Validate(); err != nil {
		return Event{}, err
	}
	if p.Exists() && p.ProductData.Equal(d) {
		return c.event(Unchanged, p, now), nil
	}
	kind := Changed
	next := Product{ID: p.ID, ProductData: d, Version: p.Version + 1, CreatedAt: p.CreatedAt, UpdatedAt: later(now, p.UpdatedAt)}
	if !p.Exists() {
		kind, next.CreatedAt = Created, next.UpdatedAt
	} else if next.PastPrices = p.PastPrices; p.Price != d.Price {
		next.PastPrices = passed(p.PastPrices, p.Price, next.UpdatedAt)
	}
	e := c.event(kind, next, next.UpdatedAt)
	if p.Category != d.Category {
		e.PreviousCategory = p.Category
	}
	return e, nil
}

func (c Command) event(k Outcome, p Product, at time.Time) Event {
	return Event{
		Outcome: k, Product: p,
		Command: c.ID, Fingerprint: c.Fingerprint(), Actor: c.Actor, Trace: c.Trace,
		AcceptedAt: c.AcceptedAt, SettledAt: at,
	}
}

// Refused returns the event that records why the command was refused for p.
func (c Command) Refused(p Product, r *Refusal, now time.Time) Event {
	e := c.event(Refused, Product{ID: p.ID, Version: p.Version}, now)
	e.Refusal = r
	return e
}

// check is nil when the condition holds for p.
func (c Condition) check(p Product) error {
	switch {
	case c.Version != 0 && !p.Exists():
		return &Refusal{Code: CodeVersion, Reason: fmt.Sprintf("product %s does not exist, so it is not at version %d", p.ID, c.Version)}
	case c.Version != 0 && c.Version != p.Version:
		return &Refusal{Code: CodeVersion, Reason: fmt.Sprintf("product %s is at version %d, not %d; read it again", p.ID, p.Version, c.Version)}
	case c.Exists && !p.Exists():
		return &Refusal{Code: CodeVersion, Reason: fmt.Sprintf("product %s does not exist", p.ID)}
	case c.Absent && p.Exists():
		return &Refusal{Code: CodeVersion, Reason: fmt.Sprintf("product %s exists already, at version %d", p.ID, p.Version)}
	}
	return nil
}

func missing(p Product) error {
	return &Refusal{Code: CodeNotFound, Reason: fmt.Sprintf("there is no product %s", p.ID)}
}

// later keeps a product's times from running backwards when clocks differ.
func later(now, last time.Time) time.Time {
	if now.Before(last) {
		return last
	}
	return now
}
