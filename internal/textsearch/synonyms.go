package textsearch

import (
	"slices"
	"strings"
)

// defaultSynonyms are words that shoppers use for one another. The words of a line, divided by
// commas, mean the same. In a line with =>, a search for a word before it also finds the words
// after it, but not the other way round.
const defaultSynonyms = `
tv, television, telly
inch, zoll
sofa, couch, settee
trainers, sneakers, running shoes
trousers, pants
mobile phone, cell phone, cellphone, smartphone
mobile => mobile phone, cell phone, smartphone
handy => mobile phone, smartphone
gray, grey
color, colour
aluminum, aluminium
center, centre
fiber, fibre
theater, theatre
liter, litre
meter, metre
tire, tyre
jewelry, jewellery
pajamas, pyjamas
mold, mould
flavor, flavour
armor, armour
harbor, harbour
favorite, favourite
catalog, catalogue
donut, doughnut
yogurt, yoghurt, joghurt
mustache, moustache
plow, plough
whiskey, whisky
organizer, organiser
stroller, pushchair, pram, buggy
diaper, nappy
pacifier, soother
dummy => pacifier, soother
crib, cot
flashlight, torch
fridge, refrigerator
freezer, deep freezer
vacuum cleaner, vacuum, hoover
washing machine, washer
dryer, drier
hairdryer, hair dryer, blow dryer
faucet, tap
wrench, spanner
bike, bicycle
motorbike, motorcycle
car, automobile, auto
laptop, notebook computer
notebook computer => notebook
laptop => notebook
monitor, computer screen, computer display
headphones, earphones, headset
earbuds, in ear headphones
usb stick, flash drive, thumb drive, memory stick, pen drive
hard drive, hard disk, hdd
ssd, solid state drive
power bank, powerbank
adapter, adaptor
charger, power adapter
remote => remote control
jumper, sweater, pullover
hoodie, hooded sweatshirt
vest, waistcoat
swimsuit, bathing suit, swimming costume
bathrobe, dressing gown
raincoat, rain jacket
handbag, purse
backpack, rucksack, knapsack
suitcase, luggage
sunglasses, shades
eyeglasses, spectacles
tee, t shirt
wardrobe, closet, armoire
chest of drawers, dresser
nightstand, bedside table
bookcase, bookshelf
duvet, comforter, quilt
curtains, drapes
rug, carpet
cushion, pillow
trash can, garbage can, rubbish bin, dustbin, waste bin, trash bin
lawn mower, lawnmower, mower
grill, barbecue, bbq
cooker, stove
hob, cooktop
kettle, water boiler
cookie, biscuit
chips, crisps
soda, soft drink
eggplant, aubergine
zucchini, courgette
cilantro, coriander
shrimp, prawn
plaster, band aid, adhesive bandage
shaver, razor
kids, children
christmas, xmas
`

// synonyms maps the stem of a word, or of several words joined, to the stems that are looked up too.
type synonyms map[string][]string

// newSynonyms returns the synonyms of lines in the form of defaultSynonyms.
func newSynonyms(lines ...string) synonyms {
	all := synonyms{}
	for _, line := range lines {
		from, to, oneWay := strings.Cut(line, "=>")
		words := joinedTerms(from)
		if !oneWay {
			to = from
		}
		for _, w := range words {
			for _, other := range joinedTerms(to) {
				if other != w && !slices.Contains(all[w], other) {
					all[w] = append(all[w], other)
				}
			}
		}
	}
	return all
}

// joinedTerms returns the words of a comma-separated list. Several words become a joined one, as
// joins makes of the words of a product.
func joinedTerms(list string) (all []string) {
	for _, s := range strings.Split(list, ",") {
		if words := Tokenize(s); len(words) > 0 {
			all = append(all, Stem(strings.Join(words, "")))
		}
	}
	return all
}
