package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"
)

// Command is a wish to change one product. It is settled exactly once, however
// often it is sent: its ID says which command it is.
type Command struct {
	ID         ID
	Product    ID
	Op         Operation
	If         Condition
	Actor      string    // who wished it; "" for nobody known
	Trace      string    // W3C traceparent of the request; "" for none
	AcceptedAt time.Time // when the gateway took it, to the microsecond
}

// Operation is what a command wishes: [CreateProduct], [PutProduct],
// [PatchProduct] or [DeleteProduct].
type Operation interface{ operation() }

// CreateProduct wishes a new product. It is refused when there is one already.
type CreateProduct struct{ Data ProductData }

// PutProduct wishes that the product be as the draft says, new or not.
type PutProduct struct{ Data ProductData }

// PatchProduct wishes some fields changed. Where there is no such product it
// is refused, or, with Create, made from the patch alone.
type PatchProduct struct {
	Patch  Patch
	Create bool
}

// DeleteProduct wishes the product gone.
type DeleteProduct struct{}

func (CreateProduct) operation() {}
func (PutProduct) operation()    {}
func (PatchProduct) operation()  {}
func (DeleteProduct) operation() {}

// Condition is what must hold for a command to be applied. The zero value
// always holds.
type Condition struct {
	Version int64 // the product is at this version; 0 for any
	Exists  bool  // there is such a product
	Absent  bool  // there is none
}

// Fingerprint tells apart two commands that carry the same id: it is equal
// for equal wishes on the same product, whoever sent them when. It is kept in
// the journal, so how it is computed never changes.
func (c Command) Fingerprint() [32]byte {
	f := fingerprint{sha256.New()}
	f.bytes(c.Product[:])
	f.number(c.If.Version)
	f.flag(c.If.Exists)
	f.flag(c.If.Absent)
	switch op := c.Op.(type) {
	case CreateProduct:
		f.text("create")
		f.data(op.Data)
	case PutProduct:
		f.text("put")
		f.data(op.Data)
	case PatchProduct:
		f.text("patch")
		f.flag(op.Create)
		f.patch(op.Patch)
	case DeleteProduct:
		f.text("delete")
	default: // Decide refuses it, and the refusal has its fingerprint too
		f.text(fmt.Sprintf("%T", c.Op))
	}
	return [32]byte(f.Sum(nil))
}

// SKU returns the SKU that the command sets, or "" if it sets none.
func (c Command) SKU() string {
	switch op := c.Op.(type) {
	case CreateProduct:
		return op.Data.SKU
	case PutProduct:
		return op.Data.SKU
	case PatchProduct:
		if op.Patch.SKU != nil {
			return *op.Patch.SKU
		}
	}
	return ""
}

// fingerprint writes values so that no two different sequences of them give
// the same bytes: each has its length before it.
type fingerprint struct{ hash.Hash }

func (f fingerprint) number(n int64) { f.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) }
func (f fingerprint) bytes(b []byte) { f.number(int64(len(b))); f.Write(b) }
func (f fingerprint) text(s string)  { f.bytes([]byte(s)) }

func (f fingerprint) flag(b bool) {
	if b {
		f.number(1)
	} else {
		f.number(0)
	}
}

func (f fingerprint) optional(s *string) {
	f.flag(s != nil)
	if s != nil {
		f.text(*s)
	}
}

func (f fingerprint) list(l []string) {
	f.number(int64(len(l)))
	for _, s := range l {
		f.text(s)
	}
}

func (f fingerprint) decimal(d Decimal) {
	f.number(d.Units)
	f.number(int64(d.Nanos))
}

// hashedFirst are the fields that had a fixed place in the hash from the start.
// Stored fingerprints keep that place valid, so this list never changes. Every
// other field follows with its name, and only when it is set.
var hashedFirst = []string{"sku", "name", "description", "price", "category", "tags", "attributes"}

func (f fingerprint) data(d ProductData) {
	f.text(d.SKU)
	f.text(d.Name)
	f.text(d.Description)
	f.decimal(d.Price.Decimal)
	f.text(d.Price.Currency)
	f.text(d.Category)
	f.list(d.Tags)
	f.number(int64(len(d.Attributes)))
	for _, k := range slices.Sorted(maps.Keys(d.Attributes)) {
		f.text(k)
		f.text(d.Attributes[k])
	}
	for i := range Fields {
		switch field := &Fields[i]; {
		case slices.Contains(hashedFirst, field.Name):
		case field.IsText() && *field.Text(&d) != "":
			f.text(field.Name)
			f.text(*field.Text(&d))
		case field.Kind == KindList && len(*field.List(&d)) > 0:
			f.text(field.Name)
			f.list(*field.List(&d))
		}
	}
}

func (f fingerprint) patch(p Patch) {
	for _, s := range []*string{p.SKU, p.Name, p.Description, p.Currency, p.Category} {
		f.optional(s)
	}
	f.flag(p.Amount != nil)
	if p.Amount != nil {
		f.decimal(*p.Amount)
	}
	f.flag(p.Tags != nil)
	if p.Tags != nil {
		f.list(*p.Tags)
	}
	f.flag(p.ClearAttributes)
	f.number(int64(len(p.Attributes)))
	for _, k := range slices.Sorted(maps.Keys(p.Attributes)) {
		f.text(k)
		f.optional(p.Attributes[k])
	}
	for i := range Fields {
		switch field := &Fields[i]; {
		case slices.Contains(hashedFirst, field.Name):
		case field.IsText() && *field.PatchText(&p) != nil:
			f.text(field.Name)
			f.text(**field.PatchText(&p))
		case field.Kind == KindList && *field.PatchList(&p) != nil:
			f.text(field.Name)
			f.list(**field.PatchList(&p))
		}
	}
}
