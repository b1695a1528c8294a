// Package textsearch holds what all search indexes share: how a product becomes the terms of an
// index document, how a query becomes a plan of terms to look up, and how pages are sorted,
// continued and highlighted. The engines (packages bleve and opensearch) only store terms and find
// the products that have them, so both return the same products in the same order.
//
// The path of a product: FieldsOf tokenizes it into the terms of each field in the table of
// fields.go. The path of a query: NewRequest validates it, decodes its cursor and makes its Plan.
//
// The package imports no engine. It borrows bleve's table of ASCII foldings and its English plural
// stemmer.
package textsearch
