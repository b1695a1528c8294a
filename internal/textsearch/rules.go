package textsearch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Rules say how texts are searched. They apply to queries only, so an index need not be rebuilt when
// they change.
type Rules struct {
	boosts    map[string]int // boosts of a whole word, by field
	stopWords map[string]bool
	synonyms  synonyms
	compounds bool // a word matches all compound words that end with it
}

// defaultBoosts are the boosts of a whole word, by field.
var defaultBoosts = map[string]int{
	Name: 64, Joined: 56, BrandWords: 40, Labels: 24, AttributeWords: 22, Text: 20,
	FirstPhrase: 12, // the words of the phrase are in Text, too
}

// maxBoost limits the boosts of a file, so that the words of a text never outweigh an identifier.
const maxBoost = 100

// compoundLanguages are the languages that write compounds as one word.
var compoundLanguages = []string{"de", "nl", "sv", "da", "no", "fi"}

// rulesFile is the form of a file of rules.
type rulesFile struct {
	// Languages are those of the catalogue's texts; they choose stop words and compounds. Without them
	// the stop words of all known languages apply, and compounds are looked up when little else is found.
	Languages []string `yaml:"languages"`
	// StopWords are further words that a product need not have.
	StopWords []string `yaml:"stopWords"`
	// Synonyms are lines such as "sofa, couch" and, one way, "laptop => notebook".
	Synonyms []string `yaml:"synonyms"`
	// DefaultSynonyms adds the built-in list. The default is true.
	DefaultSynonyms *bool `yaml:"defaultSynonyms"`
	// Weights are the boosts of a whole word by field: name, brand, labels (category and tags),
	// attributes, text (description and SKU), firstPhrase (of the description) and joined (neighbours in
	// the name as one word). With 0 only the beginnings of the words of a field are looked up.
	Weights map[string]int `yaml:"weights"`
}

// weightFields maps the names in a file of rules to fields.
var weightFields = map[string]string{
	"name": Name, "brand": BrandWords, "labels": Labels, "attributes": AttributeWords, "text": Text, "firstPhrase": FirstPhrase, "joined": Joined,
}

// DefaultRules returns the rules of an installation that sets none.
func DefaultRules() *Rules { return defaultRules }

var defaultRules = func() *Rules {
	r, err := newRules(rulesFile{})
	if err != nil {
		panic(err) // the defaults are valid
	}
	return r
}()

// LoadRules reads rules from a YAML file. An empty name returns the defaults.
func LoadRules(file string) (*Rules, error) {
	if file == "" {
		return DefaultRules(), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the rules of the search: %w", err)
	}
	var f rulesFile
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the rules of the search in %s: %w", file, err)
	}
	r, err := newRules(f)
	if err != nil {
		return nil, fmt.Errorf("read the rules of the search in %s: %w", file, err)
	}
	return r, nil
}

func newRules(f rulesFile) (*Rules, error) {
	r := &Rules{boosts: maps.Clone(defaultBoosts)}
	for name, weight := range f.Weights {
		field, ok := weightFields[name]
		if !ok {
			return nil, fmt.Errorf("weights: no field %q; the fields are %s", name, strings.Join(slices.Sorted(maps.Keys(weightFields)), ", "))
		}
		if weight < 0 || weight > maxBoost {
			return nil, fmt.Errorf("weights: %s is %d; must be between 0, for a field whose whole words are not looked up, and %d", name, weight, maxBoost)
		}
		r.boosts[field] = weight
	}
	languages := f.Languages
	for _, l := range languages {
		if stopWords[l] == "" {
			return nil, fmt.Errorf("languages: no stop words for %q; known are %s", l, strings.Join(slices.Sorted(maps.Keys(stopWords)), ", "))
		}
		r.compounds = r.compounds || slices.Contains(compoundLanguages, l)
	}
	if languages == nil {
		languages = slices.Collect(maps.Keys(stopWords))
	}
	r.stopWords = stopWordsOf(languages, f.StopWords)
	lines := f.Synonyms
	if f.DefaultSynonyms == nil || *f.DefaultSynonyms {
		lines = append(strings.Split(defaultSynonyms, "\n"), lines...)
	}
	r.synonyms = newSynonyms(lines...)
	return r, nil
}
