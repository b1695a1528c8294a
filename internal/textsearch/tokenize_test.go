package textsearch_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catalog"
	"catalog/internal/textsearch"
)

// texts generates texts of words, markup, combining characters and scripts without spaces.
func texts() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"oak", "Oaken", "chef's", "RÅSKOG", "椅子", "e\u0301", " ", " ", ", ", "<b>", "'", "½", "ﬁ", "İ", "🪑", "ไม้"}),
		rapid.StringN(0, 40, -1),
		rapid.Map(rapid.IntRange(1, 400), func(n int) string { return strings.Repeat("椅", n) }),
		rapid.Map(rapid.IntRange(1, 100), func(n int) string { return strings.Repeat("made of wood ", n) }),
	)
	return rapid.Map(rapid.SliceOfN(piece, 0, 12), func(all []string) string { return strings.Join(all, "") })
}

func TestFold(t *testing.T) {
	t.Run("case, accents and compatibility forms are removed", func(t *testing.T) {
		for text, want := range map[string]string{
			"": "", "Oak": "oak", "RÅSKOG": "raskog", "RA\u030aSKOG": "raskog", "Straße": "strasse", "½ ﬁne Æther": "1/2 fine aether", "椅子 Ø 5": "椅子 o 5", "Ⓐ–Ⓩ": "a-z",
		} {
			if got := textsearch.Fold(text); got != want {
				t.Errorf("Fold(%q) = %q; want %q", text, got, want)
			}
		}
	})
	t.Run("a text folds the same alone and inside another text", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			a, b := texts().Draw(t, "a"), texts().Draw(t, "b")
			if got, want := textsearch.Fold(a+" Oak "+b), textsearch.Fold(a)+" oak "+textsearch.Fold(b); got != want {
				t.Fatalf("together %q; alone %q", got, want)
			}
		})
	})
}

func TestTokenize(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"punctuation separates words":               {"Oak, <b>table</b>; 40x60", []string{"oak", "b", "table", "b", "40x60"}},
		"an apostrophe does not separate words":     {"the chef's 'knife'", []string{"the", "chefs", "knife"}},
		"words are folded":                          {"RÅSKOG Straße", []string{"raskog", "strasse"}},
		"a combining mark belongs to its word":      {"cafe\u0301", []string{"cafe"}},
		"in scripts without spaces, one character":  {"木の椅子 x", []string{"木", "ノ", "椅", "子", "x"}},
		"Thai is such a script":                     {"ไม้ oak", []string{"ไ", "ม", "oak"}},
		"a word ends where such a script begins":    {"oak椅ok", []string{"oak", "椅", "ok"}},
		"an inch mark is a word":                    {`TV 24" "new 27" 5½″`, []string{"tv", "24", "inch", "new", "27", "5", "1/2", "inch"}},
		"a fraction is a word":                      {"1½ l", []string{"1", "1/2", "l"}},
		"a decimal number may begin with its point": {".5 l, v.5 (,25)", []string{"0.5", "l", "v", "5", "0.25"}},
		"half-width voiced kana":                    {"ﾊﾞｰ", []string{"バ", "ー"}},
		"no word":                                   {"*** !", nil},
		"an emoji is a word":                        {"🪑 chair 🇩🇪", []string{"🪑", "chair", "🇩🇪"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := textsearch.Tokenize(c.text); !slices.Equal(got, c.want) {
				t.Errorf("Tokenize(%q) = %q; want %q", c.text, got, c.want)
			}
		})
	}
}

func TestStem(t *testing.T) {
	for word, want := range map[string]string{"tables": "table", "table": "table", "shelves": "shelf", "bookshelves": "bookshelf", "leaf": "leaf", "feet": "foot", "mice": "mouse", "women": "woman", "movies": "movy", "movie": "movy", "toes": "toe", "lens": "lens", "lenses": "lens", "الدوري": "دوري", "الي": "الي", "glass": "glass", "bodies": "body", "s": "s", "": ""} {
		if got := textsearch.Stem(word); got != want {
			t.Errorf("Stem(%q) = %q; want %q", word, got, want)
		}
	}
}

// The limits of a batch of an index count words without analysing the texts.
func TestTokenize_wordCount(t *testing.T) {
	for _, text := range []string{"Green chair, of oak", "RÅSKOG Straße", "iphone13", "木の椅子 x", "ไม้ oak", "40x60 cm", "🪑🪑", "chef's 1½ c++"} {
		d := catalog.ProductData{Description: text}
		if got, words := d.WordCount(), textsearch.Tokenize(text); got < len(words) {
			t.Errorf("WordCount of %q is %d; it has the words %q", text, got, words)
		}
	}
}
