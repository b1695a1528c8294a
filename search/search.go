// Package search finds products with an index on the disk of this process. It
// is the only importer of bleve, and implements reader.Index.
//
// What people type is data: it is cut into words, and no character of it has a
// meaning. The whole product is kept in the index, so that a page of results
// comes from one place and is one state of the catalogue.
package search

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/char/asciifolding"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/blevesearch/bleve/v2/analysis/token/lowercase"
	"github.com/blevesearch/bleve/v2/analysis/tokenizer/character"
	"github.com/blevesearch/bleve/v2/analysis/tokenizer/single"
	"github.com/blevesearch/bleve/v2/analysis/tokenizer/unicode"

	"github.com/blevesearch/bleve/v2/document"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	index "github.com/blevesearch/bleve_index_api"

	"catalog"
	"catalog/wire"
)

// format is raised when what is written to the index changes. An index of
// another format is made anew from the events.
const format = "3"

// Index is an open index.
type Index struct {
	bleve    bleve.Index
	words    analysis.Analyzer // text to terms: folded, lower case, without plural
	verbatim analysis.Analyzer // the whole value as one term
	blanks   analysis.Analyzer // terms with blanks between them

	pages pages // of the catalogue as it is now
}

// Open opens the index in the folder, or makes it. One that cannot be read, or
// is of another format, is removed and begun again: its Progress is then empty,
// and the reader feeds it from the start. dir "" is an index in memory.
func Open(dir string, log *slog.Logger) (*Index, error) {
	x := &Index{
		words: &analysis.DefaultAnalyzer{
			CharFilters:  []analysis.CharFilter{asciifolding.New()},
			Tokenizer:    unicode.NewUnicodeTokenizer(),
			TokenFilters: []analysis.TokenFilter{lowercase.NewLowerCaseFilter(), &en.EnglishPluralStemmerFilter{}},
		},
		verbatim: &analysis.DefaultAnalyzer{Tokenizer: single.NewSingleTokenTokenizer()},
		blanks:   &analysis.DefaultAnalyzer{Tokenizer: character.NewCharacterTokenizer(func(r rune) bool { return r != ' ' })},
	}
	config := map[string]any{
		// A batch is visible when it is in memory, and written to the disk soon
		// after, together with the progress it belongs to: what a crash takes is
		// read from the log again. Waiting for the disk would gain nothing.
		"unsafe_batch":       true,
		"numSnapshotsToKeep": 1,
		"scorchPersisterOptions": map[string]any{
			"PersisterNapTimeMSec":      50, // merge small batches in memory, before they become files
			"PersisterNapUnderNumFiles": 100,
		},
	}
	if dir != "" {
		switch b, err := bleve.OpenUsing(dir, config); {
		case err == nil:
			if f, err := b.GetInternal([]byte("format")); err == nil && string(f) == format {
				x.bleve = b
				return x, nil
			}
			log.Warn("the search index is of another version; it is made anew", "dir", dir)
			b.Close()
		case errors.Is(err, bleve.ErrorIndexPathDoesNotExist):
		default:
			log.Warn("the search index cannot be read; it is made anew", "dir", dir, "err", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("remove the search index: %w", err)
		}
	}
	m := mapping.NewIndexMapping()
	m.DefaultMapping = mapping.NewDocumentDisabledMapping() // documents are made here, field by field
	b, err := bleve.NewUsing(dir, m, scorch.Name, scorch.Name, config)
	if err != nil {
		return nil, fmt.Errorf("make the search index in %s: %w", dir, err)
	}
	if err := b.SetInternal([]byte("format"), []byte(format)); err != nil {
		return nil, fmt.Errorf("make the search index in %s: %w", dir, err)
	}
	x.bleve = b
	return x, nil
}

// closeWait is how long Close waits for the disk.
const closeWait = 2 * time.Second

// Close closes the index when all that was applied is on the disk, so that the
// next Open goes on from there.
func (x *Index) Close() error {
	if x.bleve.Name() != "" {
		written := make(chan struct{})
		b := x.bleve.NewBatch()
		b.SetInternal([]byte("closed"), []byte(format))
		b.SetPersistedCallback(func(error) { close(written) })
		if err := x.bleve.Batch(b); err == nil {
			select {
			case <-written:
			case <-time.After(closeWait): // what is missing is read from the log again
			}
		}
	}
	return x.bleve.Close()
}

// Apply stores products, removes tombstones and stores the progress, all or
// nothing.
func (x *Index) Apply(_ context.Context, products []catalog.Product, progress []catalog.Progress) error {
	b := x.bleve.NewBatch()
	for _, p := range products {
		if !p.Exists() {
			b.Delete(p.ID.String())
			continue
		}
		d, err := x.document(p)
		if err == nil {
			err = b.IndexAdvanced(d)
		}
		if err != nil {
			return fmt.Errorf("index product %s: %w", p.ID, err)
		}
	}
	for _, p := range progress {
		value := binary.BigEndian.AppendUint64(nil, uint64(p.Seq))
		b.SetInternal(progressKey(p.Shard), binary.BigEndian.AppendUint64(value, uint64(p.Offset)))
	}
	if err := x.bleve.Batch(b); err != nil {
		return fmt.Errorf("write %d products to the search index: %w", len(products), err)
	}
	x.pages.forget()
	return nil
}

// Progress answers the progress of each shard of which something was applied.
func (x *Index) Progress(context.Context) ([]catalog.Progress, error) {
	var all []catalog.Progress
	// Shards are numbered from 0; those of which nothing was applied leave
	// holes, so all that a topic may have are asked for.
	for shard := range int32(maxShards) {
		value, err := x.bleve.GetInternal(progressKey(shard))
		if err != nil {
			return nil, fmt.Errorf("read the progress of the search index: %w", err)
		}
		if len(value) == 16 {
			all = append(all, catalog.Progress{
				Position: catalog.Position{Shard: shard, Seq: int64(binary.BigEndian.Uint64(value))},
				Offset:   int64(binary.BigEndian.Uint64(value[8:])),
			})
		}
	}
	return all, nil
}

const maxShards = 1_024

func progressKey(shard int32) []byte {
	return binary.BigEndian.AppendUint32([]byte("progress"), uint32(shard))
}

// Fields of a document. Those that people's words are looked for in:
const (
	fieldName  = "name"
	fieldPath  = "path"  // words of the category
	fieldText  = "text"  // words of all
	fieldStart = "start" // the first letters of the words of all
)

// Those that are taken as they are:
const (
	fieldSKU      = "sku"
	fieldIn       = "in"       // the category and those above it
	fieldCategory = "category" // the category
	fieldTag      = "tag"
	fieldCurrency = "currency"
	fieldPrice    = "price"   // sortable
	fieldCreated  = "created" // sortable
	fieldTitle    = "title"   // sortable name
	fieldProduct  = "product" // the whole product, only stored
)

// How fields are kept. What is only filtered by has no weight: a query that
// weighs what it finds must not look there, the weight would be no number.
const (
	searched = index.IndexField
	exact    = index.IndexField | index.SkipFreqNorm
	sorted   = index.IndexField | index.SkipFreqNorm | index.DocValues
	stored   = index.StoreField
)

func (x *Index) document(p catalog.Product) (*document.Document, error) {
	whole, err := wire.EncodeProduct(p)
	if err != nil {
		return nil, err
	}
	d := document.NewDocument(p.ID.String())
	add := func(field, value string, options index.FieldIndexingOptions, a analysis.Analyzer) {
		if value != "" {
			d.AddField(document.NewTextFieldCustom(field, nil, []byte(value), options, a))
		}
	}
	name, path := x.terms(p.Name), x.terms(p.Category)
	all := slices.Concat(name, path, x.terms(p.SKU), x.terms(p.Description))
	add(fieldName, strings.Join(name, " "), searched, x.blanks)
	add(fieldPath, strings.Join(path, " "), searched, x.blanks)
	add(fieldText, strings.Join(all, " "), searched, x.blanks)
	add(fieldStart, strings.Join(starts(all), " "), searched, x.blanks)
	add(fieldSKU, strings.ToLower(p.SKU), searched, x.verbatim)
	add(fieldCategory, p.Category, sorted, x.verbatim)
	for i, c := range p.Category + "/" {
		if c == '/' {
			add(fieldIn, p.Category[:i], exact, x.verbatim)
		}
	}
	for _, t := range p.Tags {
		add(fieldTag, t, sorted, x.verbatim)
	}
	add(fieldCurrency, p.Price.Currency, sorted, x.verbatim)
	price := sortablePrice(p.Price.Decimal)
	add(fieldPrice, price, sorted, x.verbatim)
	for _, digits := range priceLevels {
		add(priceField(digits), price[:digits], exact, x.verbatim)
	}
	add(fieldCreated, fmt.Sprintf("%016x", p.CreatedAt.UnixMicro()), sorted, x.verbatim)
	add(fieldTitle, x.sortable(p.Name), sorted, x.verbatim)
	d.AddField(document.NewTextFieldCustom(fieldProduct, nil, whole, stored, nil))
	return d, nil
}

// sortablePrice is d as text that sorts as the amounts do, exactly.
func sortablePrice(d catalog.Decimal) string { return fmt.Sprintf("%015d%09d", d.Units, d.Nanos) }

// sortable is a name as text that sorts as people expect: without case and
// accents. Names that are alike in their first 100 bytes sort by id.
func (x *Index) sortable(name string) string {
	folded := strings.ToLower(string(asciifolding.New().Filter([]byte(name))))
	return folded[:min(len(folded), 100)]
}

// maxStart is how many letters of a word are looked for as a whole. Shorter
// beginnings belong to thousands of words, and each word is a list to read.
const maxStart = 3

// terms cuts text into words as they are looked for. Cutting is the dearest part
// of indexing, so it is done once for each text.
func (x *Index) terms(text string) []string {
	tokens := x.words.Analyze([]byte(text))
	terms := make([]string, len(tokens))
	for i, t := range tokens {
		terms[i] = string(t.Term)
	}
	return terms
}

// starts lists the first one, two and three letters of the terms, once each.
func starts(terms []string) []string {
	seen := map[string]bool{}
	var starts []string
	for _, term := range terms {
		letters := 0
		for i, r := range term {
			if letters++; letters > maxStart {
				break
			}
			if start := term[:i+utf8.RuneLen(r)]; !seen[start] {
				seen[start] = true
				starts = append(starts, start)
			}
		}
	}
	return starts
}
