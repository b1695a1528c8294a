package catalog

// Query selects one page of the products that match all its conditions. The zero
// value with a Limit selects the newest products.
type Query struct {
	// Text holds words in any order, as a person typed them. Each must match a word
	// or the beginning of a word in name, brand, category, tags, attribute values,
	// description or SKU, or the text must be the GTIN. Without such products, words
	// may be misspelt or missing; see Page. No character is an operator.
	Text     string
	Category string // the category itself and those below it
	Brand    string // this brand in any spelling; Category, Tag and the values of Attributes match any spelling, too
	GTIN     string // this GTIN, in any of its lengths; see GTIN14
	Tag      string
	// Attributes lists attributes that a product must have with these values.
	Attributes map[string]string
	MinPrice   *Decimal
	MaxPrice   *Decimal
	Currency   string
	Sort       Sort
	Limit      int    // 1 to MaxLimit
	Cursor     string // NextCursor of the previous page; "" for the first
	// Facets lists fields of FacetFields; the page also counts the matching products by
	// the values of each.
	Facets []string
	// FacetAttributes lists keys of attributes; the page also counts the matching
	// products by the values of each.
	FacetAttributes []string
	// Highlight asks for the matches of Text in each product of the page.
	Highlight bool
}

// FacetFields returns the fields by which a page can count products.
func FacetFields() []string { return []string{"category", "brand", "tag", "currency"} }

// Limits of a query.
const (
	MaxLimit     = 100
	MaxPageBytes = 4 << 20 // size of its products at which a page ends, whatever its limit is; it has at least one
	DefaultLimit = 20
	MaxText      = 200 // characters
	MaxFilters   = 10  // entries of Attributes, and of FacetAttributes
	MaxCursor    = 2_000
)

// Sort is the order of a page. Products with equal keys are ordered by id, so that
// pages neither repeat nor miss a product.
type Sort string

// The sort orders. "" means Relevance for a query with Text, otherwise Newest.
const (
	Relevance       Sort = "relevance"
	ByName          Sort = "name"
	PriceAscending  Sort = "price"
	PriceDescending Sort = "-price"
	Newest          Sort = "newest"
)

// Page is the result of a Query.
type Page struct {
	Items      []Product
	Total      int64  // number of products that match, on all pages
	NextCursor string // "" on the last page
	Facets     []Facet
	Highlights [][]Highlight // one entry for each item; nil unless Query.Highlight was set
	// Match says how the products match Text. It is MatchPartial when none has all its words.
	Match Match
	// Unmatched lists words of Text that the first product does not have, in a partial match.
	Unmatched []string
	// Corrections lists words of Text that no product has, and the similar words that matched.
	Corrections []Correction
	// DidYouMean is a text with similar words that matches products, for a query that
	// matches none; "" if the index has no such text.
	DidYouMean string
}

// Match says how the products of a page match the text of their query.
type Match string

// The matches.
const (
	MatchAll     Match = ""        // each product has all words
	MatchPartial Match = "partial" // each has at least half of the words; the page is the only one
)

// Correction is a word of a text that no product has, and the similar word that matched.
type Correction struct {
	Word, Correction string
}

// Size returns about how many bytes the products of p take.
func (p Page) Size() int { return sizeOf(p.Items) }

// Facet counts the products that match a query by the values of one of FacetFields or
// of an attribute.
type Facet struct {
	Field     string
	Attribute string       // key of the attribute, if Field is attribute
	Values    []FacetValue // most frequent first, at most 50
}

// FacetValue is one value of a field and the number of products that have it.
type FacetValue struct {
	Value string
	Count int64
}

// Highlight shows the matches of a query's text in one field of a product: name,
// sku, gtin, brand, category or description. It has an excerpt of a long description.
type Highlight struct {
	Field     string
	Fragments []Fragment // consecutive parts of the text
}

// Fragment is a part of a text that matches or does not match.
type Fragment struct {
	Text  string
	Match bool
}

// Suggestions complete a search text while a person types it.
type Suggestions struct {
	// Texts are the typed text with its last word completed or corrected, the most
	// likely first. Each matches at least one product.
	Texts      []string
	Categories []FacetValue // categories of the matching products, most frequent first
	Products   []Product    // best matches; only a part is ranked if very many match
}

// Size returns about how many bytes the products of s take.
func (s Suggestions) Size() int { return sizeOf(s.Products) }

func sizeOf(products []Product) (n int) {
	for _, p := range products {
		n += p.Size()
	}
	return n
}

// Limits of each list of Suggestions.
const (
	MaxSuggestions     = 20
	DefaultSuggestions = 5
)
