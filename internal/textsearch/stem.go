package textsearch

import (
	"strings"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
)

// irregularStems maps an irregular plural without its ending to the singular.
var irregularStems = map[string]string{
	"feet": "foot", "teeth": "tooth", "geese": "goose", "mice": "mouse", "dormice": "dormouse", "men": "man", "women": "woman",
	"gentlemen": "gentleman", "salesmen": "salesman", "firemen": "fireman", "policemen": "policeman", "workmen": "workman",
	"fishermen": "fisherman", "snowmen": "snowman", "oxen": "ox", "dice": "die", "people": "person", "cacti": "cactus", "fungi": "fungus",
	"buse": "bus", "gase": "gas", "ga": "gas", "len": "lens", "lense": "lens", "irise": "iris", "iri": "iris", "canvase": "canvas", "canva": "canvas",
	"atlase": "atlas", "atla": "atlas", "quizze": "quiz", "matrice": "matrix", "indice": "index", "appendice": "appendix", "vertice": "vertex",
	"elve": "elf", "wive": "wife", "hoove": "hoof",
}

// irregularEndings maps the ends of irregular plurals, which occur in compounds too (bookshelves), to
// those of the singular.
var irregularEndings = []struct{ plural, singular string }{
	{"shelve", "shelf"}, {"knive", "knife"}, {"leave", "leaf"}, {"loave", "loaf"}, {"scarve", "scarf"}, {"wolve", "wolf"}, {"calve", "calf"},
	{"halve", "half"}, {"thieve", "thief"}, {"dwarve", "dwarf"}, {"wharve", "wharf"}, {"selve", "self"}, {"housewive", "housewife"}, {"midwive", "midwife"},
	{"children", "child"}, {"forefeet", "forefoot"}, {"eaux", "eau"},
}

// arabicArticles are the Arabic article and its forms after a preposition.
var arabicArticles = []string{"وال", "بال", "كال", "فال", "ال", "لل"}

// minArabicStem is how many bytes of an Arabic word must remain without its article: three letters.
const minArabicStem = 6

// Stem returns a folded word in the singular. It knows English plurals, also irregular ones; an Arabic
// word loses its article.
func Stem(word string) string {
	switch word {
	case "":
		return ""
	case "toes":
		return "toe"
	}
	if word[0] >= 0xd8 && word[0] <= 0xdb { // Arabic in UTF-8
		for _, article := range arabicArticles {
			if stem, ok := strings.CutPrefix(word, article); ok && len(stem) >= minArabicStem {
				return stem
			}
		}
		return word
	}
	if strings.HasSuffix(word, "s") {
		token := analysis.TokenStream{{Term: []byte(word)}}
		word = string((&en.EnglishPluralStemmerFilter{}).Filter(token)[0].Term)
	}
	if singular, ok := irregularStems[word]; ok {
		return singular
	}
	for _, e := range irregularEndings {
		if stem, ok := strings.CutSuffix(word, e.plural); ok {
			return stem + e.singular
		}
	}
	if stem, ok := strings.CutSuffix(word, "ie"); ok && len(stem) > 2 { // the plural of movie loses ies like that of baby
		return stem + "y"
	}
	return word
}

func stemAll(words []string) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = Stem(w)
	}
	return all
}
