package catalog

// Query asks for one page of the products that match all that it says. The
// zero value, with a Limit, asks for the newest products.
type Query struct {
	// Text is what a person typed: words in any order, each matched whole or as
	// the beginning of a word in name, description, category or SKU. It is data:
	// no character in it has a meaning.
	Text     string
	Category string // the category itself and those below it
	Brand    string // exactly this brand
	GTIN     string // this GTIN, in any of its lengths; see GTIN14
	Tag      string
	// Attributes are those that a product must have, with exactly these values.
	Attributes map[string]string
	MinPrice   *Decimal
	MaxPrice   *Decimal
	Currency   string
	Sort       Sort
	Limit      int    // 1 to MaxLimit
	Cursor     string // NextCursor of the page before; "" for the first
	Facets     bool
	// FacetAttributes are keys of attributes by whose values to count as well.
	FacetAttributes []string
	// Highlight asks where the text stands in the products of the page.
	Highlight bool
}

// Limits of a query.
const (
	MaxLimit     = 100
	DefaultLimit = 20
	MaxText      = 200 // characters
	MaxFilters   = 10  // attributes, and as many to count by
	MaxCursor    = 2_000
)

// Sort is the order of a page. Ties are broken by id, so that pages neither
// repeat nor miss a product.
type Sort string

// The orders. "" is Relevance where there is text, else Newest.
const (
	Relevance       Sort = "relevance"
	ByName          Sort = "name"
	PriceAscending  Sort = "price"
	PriceDescending Sort = "-price"
	Newest          Sort = "newest"
)

// Page is the answer to a Query.
type Page struct {
	Items      []Product
	Total      int64  // how many products match in all
	NextCursor string // "" when this is the last page
	Facets     []Facet
	Highlights [][]Highlight // of each item, where they were asked for
	// Instead is a text near that of the query that finds something, where that
	// one finds nothing and the index knows one.
	DidYouMean string
}

// Facet counts the products that match a query by the values of one field:
// category, tag, currency or attribute.
type Facet struct {
	Field     string
	Attribute string       // the key, where the field is attribute
	Values    []FacetValue // most frequent first, at most 50
}

// FacetValue is one value and how many products have it.
type FacetValue struct {
	Value string
	Count int64
}

// Highlight shows where a product has what was looked for, in one field: name,
// category, sku or description. Of a long description it shows a part.
type Highlight struct {
	Field     string
	Fragments []Fragment // one after the other they are the text
}

// Fragment is a part of a text that matches, or one that does not.
type Fragment struct {
	Text  string
	Match bool
}

// Suggestions are what a person may mean who is still typing.
type Suggestions struct {
	// Texts are what has been typed with its last word completed or put right, the
	// most likely first. Each finds something.
	Texts      []string
	Categories []FacetValue // of what matches so far, most frequent first
	Products   []Product    // those that match best so far; where very many match, of a part of them
}

// Limits of what is suggested: of each of its lists.
const (
	MaxSuggestions     = 20
	DefaultSuggestions = 5
)
