package catalog

import (
	"maps"
	"slices"
)

// Limits of a product, in characters (not bytes) and in numbers of entries.
// Tests compare them with the OpenAPI document, the protobuf rules and the
// console's form.
const (
	MaxSKU            = 64
	MaxGTIN           = 14
	MaxName           = 250
	MaxBrand          = 100
	MaxDescription    = 5_000
	MaxCategory       = 250
	MaxTags           = 50
	MaxTag            = 64
	MaxAttributes     = 100
	MaxAttributeKey   = 64
	MaxAttributeValue = 2_000
)

// Kind is the kind of value that a field holds.
type Kind int

// The kinds of fields.
const (
	KindLine  Kind = iota // text of one line, without spaces around it
	KindProse             // text that may have line breaks and tabs
	KindMoney             // an amount and a currency; only price
	KindList              // texts without duplicates, in the client's order
	KindMap               // texts by key; only attributes
)

// Field describes one field of [ProductData] and [Patch].
type Field struct {
	Name     string // name as in JSON, CSV and error messages: "sku"
	Kind     Kind
	Required bool
	Help     string // one line for -h and documents, starting in lower case
	Example  string // a valid value; for KindMap, key=value

	MaxLen     int // limit of the characters of the text, of each list entry, of each map value
	MaxEntries int // limit of the entries of a list or a map
	MaxKeyLen  int // limit of the characters of each map key

	// Text and PatchText return the address of the field's text, for KindLine and
	// KindProse; both are nil for other kinds.
	Text      func(*ProductData) *string
	PatchText func(*Patch) **string

	// List and PatchList return the address of the field's list, for KindList.
	List      func(*ProductData) *[]string
	PatchList func(*Patch) **[]string

	// rule returns what is wrong with a text that keeps the rules of its kind, or
	// "". It is nil for fields without a rule of their own.
	rule func(string) string
}

// Fields lists the fields of [ProductData], in the order of the contract.
// Validation, [Patch], [Diff], JSON, CSV, the command line and the engines'
// documents loop over this list, so a new field needs no code there. Callers
// must not change it.
//
// KindMoney and KindMap have no accessor, because one field has each kind: use
// ProductData.Price with Patch.Amount and Patch.Currency, and
// ProductData.Attributes with Patch.Attributes and Patch.ClearAttributes.
var Fields = []Field{
	{
		Name: "sku", Kind: KindLine, MaxLen: MaxSKU, Example: "CHA-7",
		Help:      "stock keeping unit, the shop's own number; unique",
		Text:      func(d *ProductData) *string { return &d.SKU },
		PatchText: func(p *Patch) **string { return &p.SKU },
	},
	{
		Name: "gtin", Kind: KindLine, MaxLen: MaxGTIN, Example: "4006381333931",
		Help:      "barcode number: a GTIN of 8, 12, 13 or 14 digits",
		Text:      func(d *ProductData) *string { return &d.GTIN },
		PatchText: func(p *Patch) **string { return &p.GTIN },
		rule:      checkGTIN,
	},
	{
		Name: "name", Kind: KindLine, MaxLen: MaxName, Required: true, Example: "Folding chair",
		Help:      "name of the product",
		Text:      func(d *ProductData) *string { return &d.Name },
		PatchText: func(p *Patch) **string { return &p.Name },
	},
	{
		Name: "brand", Kind: KindLine, MaxLen: MaxBrand, Example: "Carl Hansen",
		Help:      "brand under which the product is sold",
		Text:      func(d *ProductData) *string { return &d.Brand },
		PatchText: func(p *Patch) **string { return &p.Brand },
	},
	{
		Name: "description", Kind: KindProse, MaxLen: MaxDescription, Example: "Beech, with a seat of woven paper cord.",
		Help:      "description, in plain text",
		Text:      func(d *ProductData) *string { return &d.Description },
		PatchText: func(p *Patch) **string { return &p.Description },
	},
	{
		Name: "price", Kind: KindMoney, Required: true, Example: "149.90 EUR",
		Help: "amount and currency (ISO 4217)",
	},
	{
		Name: "category", Kind: KindLine, MaxLen: MaxCategory, Example: "Furniture/Chairs",
		Help:      "path of names joined by slashes",
		Text:      func(d *ProductData) *string { return &d.Category },
		PatchText: func(p *Patch) **string { return &p.Category },
		rule:      checkPath,
	},
	{
		Name: "tags", Kind: KindList, MaxLen: MaxTag, MaxEntries: MaxTags, Example: "beech",
		Help:      "tags, without duplicates",
		List:      func(d *ProductData) *[]string { return &d.Tags },
		PatchList: func(p *Patch) **[]string { return &p.Tags },
	},
	{
		Name: "attributes", Kind: KindMap, MaxLen: MaxAttributeValue, MaxEntries: MaxAttributes, MaxKeyLen: MaxAttributeKey, Example: "width=45",
		Help: "further properties by name",
	},
}

// IsText reports whether the field holds one text: a line or prose.
func (f *Field) IsText() bool { return f.Kind == KindLine || f.Kind == KindProse }

// FieldByName returns the field with the given name, or nil.
func FieldByName(name string) *Field {
	for i := range Fields {
		if Fields[i].Name == name {
			return &Fields[i]
		}
	}
	return nil
}

// FieldNames returns the names of all fields, in the order of the contract.
func FieldNames() []string {
	names := make([]string, len(Fields))
	for i := range Fields {
		names[i] = Fields[i].Name
	}
	return names
}

// equal reports whether d and e have the same value in the field. An absent and
// an empty list or map are equal.
func (f *Field) equal(d, e *ProductData) bool {
	switch f.Kind {
	case KindMoney:
		return d.Price == e.Price
	case KindList:
		return slices.Equal(*f.List(d), *f.List(e))
	case KindMap:
		return maps.Equal(d.Attributes, e.Attributes)
	}
	return *f.Text(d) == *f.Text(e)
}

// textOverhead is what a text adds to its bytes: its header in memory, or its key
// and lengths in a record.
const textOverhead = 16

// size returns the bytes of the texts in the field.
func (f *Field) size(d *ProductData) (n int) {
	switch f.Kind {
	case KindMoney:
		return textOverhead
	case KindList:
		for _, s := range *f.List(d) {
			n += textOverhead + len(s)
		}
		return n
	case KindMap:
		for k, v := range d.Attributes {
			n += 2*textOverhead + len(k) + len(v)
		}
		return n
	}
	return textOverhead + len(*f.Text(d))
}

// apply sets the field of d to its value in p, where p has one.
func (f *Field) apply(p *Patch, d *ProductData) {
	switch f.Kind {
	case KindMoney:
		if p.Amount != nil {
			d.Price.Decimal = *p.Amount
		}
		if p.Currency != nil {
			d.Price.Currency = *p.Currency
		}
	case KindList:
		if list := *f.PatchList(p); list != nil {
			*f.List(d) = slices.Clone(*list)
		}
	case KindMap:
		if p.ClearAttributes || len(p.Attributes) > 0 {
			d.Attributes = p.attributes(d.Attributes)
		}
	default:
		if text := *f.PatchText(p); text != nil {
			*f.Text(d) = *text
		}
	}
}
