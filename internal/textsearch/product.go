package textsearch

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"strings"

	"catalog"
)

// Fields that people's words are looked for in.
const (
	Name         = "name"       // words of the name, without plural
	Path         = "path"       // words of the category
	Text         = "text"       // words of SKU and description
	NamePrefixes = "namestarts" // the beginnings of the words of the name
	Prefixes     = "starts"     // the beginnings of all other words
	Head         = "head"       // words of the head of the description, and the whole head
)

// Fields that are taken as they are.
const (
	ID           = "_id"
	SKU          = "sku" // folded
	CategoryPath = "in"  // the category and those above it
	Category     = "category"
	Tag          = "tag"
	Attributes   = "has" // attributes; see Attribute
	Currency     = "currency"
	Price        = "price"   // sortable
	Created      = "created" // sortable
	Title        = "title"   // the whole name, folded, to sort by
)

// Field is one field of a product, and the terms that it has there. A term may
// be there twice.
type Field struct {
	Name  string
	Terms []string
}

// Of lists the terms of a product, field by field, but for its id.
func FieldsOf(p catalog.Product) []Field {
	name, path, text := Tokenize(p.Name), Tokenize(p.Category), append(skuWords(p.SKU), Tokenize(p.Description)...)
	all := []Field{
		{Name, eachStem(name)}, {Path, eachStem(path)}, {Text, eachStem(text)},
		{NamePrefixes, eachStart(name)}, {Prefixes, eachStart(append(path, text...))},
	}
	if lead := stems(head(p.Description)); len(lead) > 0 {
		all = append(all, Field{Head, append(lead, headTerm(lead))})
	}
	one := func(field, value string) {
		if value != "" {
			all = append(all, Field{field, []string{value}})
		}
	}
	one(SKU, Fold(p.SKU))
	one(Category, p.Category)
	all = append(all, Field{CategoryPath, above(p.Category)}, Field{Tag, p.Tags})
	var has []string
	for key, value := range p.Attributes {
		has = append(has, AttributeTerm(key, value))
	}
	all = append(all, Field{Attributes, has})
	one(Currency, p.Price.Currency)
	one(Price, PriceKey(p.Price.Decimal))
	one(Created, fmt.Sprintf("%016x", p.CreatedAt.UnixMicro()))
	one(Title, cmp.Or(Fold(p.Name), p.Name)) // nothing is left of accents alone
	return all
}

// above lists a category and those above it.
func above(category string) (all []string) {
	for i, c := range category + "/" {
		if c == '/' && i > 0 {
			all = append(all, category[:i])
		}
	}
	return all
}

// skuWords are the words of a SKU, and the whole without what is between them:
// AB-12 is found as "ab 12" and as "ab12".
func skuWords(sku string) []string {
	all := Tokenize(sku)
	if len(all) > 1 {
		all = append(all, strings.Join(all, ""))
	}
	return all
}

// Attribute is the term of an attribute with a value: exactly this value, a long
// one by its hash. No key has the sign that stands between.
func AttributeTerm(key, value string) string {
	if len(value) > 64 {
		value = fmt.Sprintf("%s%x", Hashed, sha256.Sum256([]byte(value)))
	}
	return key + "\x00" + value
}

// Hashed is what the hash of a long value begins with.
const Hashed = "\x00"

// Digits is how long an Amount is: 15 digits before the point and nine behind.
const Digits = 24

// Amount is d as text that sorts as the amounts do, exactly.
func PriceKey(d catalog.Decimal) string { return fmt.Sprintf("%015d%09d", d.Units, d.Nanos) }
