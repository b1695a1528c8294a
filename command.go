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

// Command asks for a change of one product. It is settled exactly once, however
// often it is sent: commands with the same ID are the same command.
type Command struct {
	ID         ID
	Product    ID
	Op         Operation
	If         Condition
	Actor      string    // user or program that sent the request; "" if unknown
	Trace      string    // W3C traceparent of the request; "" for none
	AcceptedAt time.Time // time at which the gateway accepted it, in microseconds
}

// Operation is the change that a command asks for: [CreateProduct],
// [PutProduct], [PatchProduct], [DeleteProduct] or [VoidPrice].
type Operation interface{ operation() }

// CreateProduct creates a product. It is refused with [CodeExists] if the product
// exists.
type CreateProduct struct{ Data ProductData }

// PutProduct creates the product or replaces all its data.
type PutProduct struct{ Data ProductData }

// PatchProduct changes some fields of a product. If the product does not exist,
// the command is refused with [CodeNotFound] or, with Create set, creates the
// product from the patch alone.
type PatchProduct struct {
	Patch  Patch
	Create bool
}

// DeleteProduct deletes the product. It is refused with [CodeNotFound] if the
// product does not exist.
type DeleteProduct struct{}

// VoidPrice marks a past price of the last 30 days as a mistake, which no buyer was
// bound to: [Product.LowestPrior] does not count it. The command is refused with
// [CodeNotFound] if the product does not exist, and with [CodeInvalid] if it has no
// such past price.
type VoidPrice struct {
	Price  Money
	Reason string // why it was a mistake; 1 to MaxVoidReason characters
}

// MaxVoidReason limits the reason for a void price, in characters.
const MaxVoidReason = 500

func (CreateProduct) operation() {}
func (PutProduct) operation()    {}
func (PatchProduct) operation()  {}
func (DeleteProduct) operation() {}
func (VoidPrice) operation()     {}

// MaxOrVersions limits the versions that a condition names beside the first. A client
// has a few versions of a product at most.
const MaxOrVersions = 9

// Condition is a precondition of a command. A command whose condition does not
// hold is refused with [CodeVersion]. The zero value always holds.
type Condition struct {
	Version    int64   // the product is at this version; 0 for any
	OrVersions []int64 // versions beside Version at which it holds, too; MaxOrVersions at most
	Exists     bool    // the product exists
	Absent     bool    // the product does not exist
}

// Fingerprint returns a hash of the product, the condition and the operation. It
// tells apart two different commands with the same id; actor, trace and time make
// no difference. The journal stores fingerprints, so the computation never
// changes.
func (c Command) Fingerprint() [32]byte {
	f := fingerprint{sha256.New()}
	f.bytes(c.Product[:])
	f.number(c.If.Version)
	f.flag(c.If.Exists)
	f.flag(c.If.Absent)
	for _, v := range c.If.OrVersions {
		f.text("or version")
		f.number(v)
	}
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
	case VoidPrice:
		f.text("void price")
		f.decimal(op.Price.Decimal)
		f.text(op.Price.Currency)
		f.text(op.Reason)
	default: // Decide refuses such a command, and the refusal has a fingerprint too
		f.text(fmt.Sprintf("%T", c.Op))
	}
	return [32]byte(f.Sum(nil))
}

// SKU returns the SKU that the command sets, or "" if the command sets none.
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

// fingerprint hashes a sequence of values. Each value is preceded by its length,
// so that two different sequences never hash the same bytes.
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

// hashedFirst lists the fields with a fixed place in the hash. Stored
// fingerprints depend on it, so the list never changes. Every later field is
// hashed after them, with its name, and only if it is set.
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
