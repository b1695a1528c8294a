package enginetest

import (
	"fmt"
	"strings"

	"catalog"
)

// extremes returns valid product data, by name, that an engine is likely to
// store wrongly: the largest and smallest value of every field, and text with a
// meaning in some engine.
func extremes() map[string]catalog.ProductData {
	return map[string]catalog.ProductData{
		"every field":  everyField(),
		"least":        {Name: "x", Price: price(0, 0, "EUR")},
		"most":         longestFields(),
		"no digits":    {Name: "x", Price: price(999_999_999_999_999, 0, "JPY")},
		"three digits": {Name: "x", Price: price(999_999_999_999_999, 999_000_000, "KWD")},
		"a cent":       {Name: "x", Price: price(0, 10_000_000, "EUR")},
		"a fil":        {Name: "x", Price: price(1, 1_000_000, "KWD")},
		"a double":     {Name: "x", Price: price(12_345_678_901_234, 890_000_000, "USD")},
		"signs": {
			SKU: `'";\--/*{}[],$1?%_`, Name: "a\u2028b\u00a0c\ufeffd\u200be", Category: `A/B\B/"C"/D'; DROP TABLE products`,
			Description: "\t one\r\n\"two\" \\n 'three' \\u0000 {four} \n",
			Price:       price(1, 0, "EUR"),
			Tags:        []string{"NULL", "null", "{}", "{a,b}", `"`, `\`, `\"`, ",", "a b", "[]", "é", "e\u0301", "\U0010ffff"},
			Attributes: map[string]string{
				"empty": "", "null": "null", "$set": "{}", "a.b": "[]", "__proto__": "\\u0000", `"`: `\`, "é": "1", "e\u0301": "2",
				"<b>&amp;": "</script>", "lines": " a\n\tb\r\n", "number": "1e400", "nan": "NaN",
			},
		},
		"empty lists": {Name: "x", Price: price(1, 0, "EUR"), Tags: []string{}, Attributes: map[string]string{}},
	}
}

// longestFields returns product data in which every field has its largest value, in
// characters of several bytes.
func longestFields() catalog.ProductData {
	d := catalog.ProductData{Price: price(999_999_999_999_999, 990_000_000, "EUR"), Attributes: map[string]string{}}
	for i := range catalog.Fields {
		switch f := &catalog.Fields[i]; f.Kind {
		case catalog.KindMoney:
		case catalog.KindList:
			for i := range f.MaxEntries {
				*f.List(&d) = append(*f.List(&d), fmt.Sprint(i, strings.Repeat("Ж", f.MaxLen-2)))
			}
		case catalog.KindMap:
			for i := range f.MaxEntries {
				d.Attributes[fmt.Sprint(i, strings.Repeat("ключ", (f.MaxKeyLen-2)/4))] = strings.Repeat("👩‍🚀", f.MaxLen/3)
			}
		default:
			text := f.Text(&d)
			if *text = strings.Repeat("𝄞", f.MaxLen); f.Check(*text) != "" {
				*text = f.Example // the field allows only some characters, such as digits
			}
		}
	}
	return d
}
