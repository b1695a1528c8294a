package textsearch

import "strings"

// stopWords lists, by language, folded words that a product need not have: articles, prepositions and
// the like.
var stopWords = map[string]string{
	"en": "a an and are as at be by for from if in into is it its of on or our some such that the their these this those to was which with without you your my me i we looking find need want buy show",
	"de": "der die das den dem des ein eine einen einem einer eines und oder fur mit ohne von vom zu zum zur im in am an auf aus bei als ist sind fuer ich suche",
	"fr": "le la les un une des du de et ou pour avec sans en dans sur au aux par a d l",
	"es": "el la los las un una unos unas de del y o para con sin en por al a",
	"it": "il lo la i gli le un uno una di del della dei delle e o per con senza in da al alla a",
	"nl": "de het een en of voor met zonder van op in te aan bij",
	"sv": "en ett och eller for med utan av till pa i",
	"da": "en et og eller til med uden af pa i for",
	"no": "en et og eller til med uten av pa i for",
	"fi": "ja tai",
	"pt": "o a os as um uma de do da dos das e ou para com sem em no na por",
	"pl": "i lub do z ze na w we dla bez",
	"tr": "ve veya ile icin bir",
}

// stopWordsOf returns the stop words of languages and further ones.
func stopWordsOf(languages, further []string) map[string]bool {
	all := map[string]bool{}
	for _, l := range languages {
		for _, w := range strings.Fields(stopWords[l]) {
			all[w] = true
		}
	}
	for _, w := range further {
		all[Fold(w)] = true
	}
	return all
}
