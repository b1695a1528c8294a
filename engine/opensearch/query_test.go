package opensearch

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/textsearch"
)

func TestWhatPeopleAskIsNeverAnOperator(t *testing.T) {
	const evil = `"}},{"match_all":{}},{"term":{"x":"\` + "\x00*"
	for name, q := range map[string]catalog.Query{
		"text": {Text: "oak" + evil}, "category": {Category: evil}, "tag": {Tag: evil}, "attribute": {Attributes: map[string]string{evil: evil}},
	} {
		want, err := json.Marshal(question(textsearch.NewPlan(harmless(q))))
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(question(textsearch.NewPlan(q)))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := shape(t, got), shape(t, want); a != b {
			t.Errorf("with signs in its %s a query has the shape\n%s, else\n%s", name, a, b)
		}
	}
}

// harmless is the query with words in the place of signs.
func harmless(q catalog.Query) catalog.Query {
	if q.Text != "" {
		q.Text = "oak match all term x"
	}
	for _, s := range []*string{&q.Category, &q.Tag} {
		if *s != "" {
			*s = "harmless"
		}
	}
	if q.Attributes != nil {
		q.Attributes = map[string]string{"a": "b"}
	}
	return q
}

// shape is JSON without its values.
func shape(t *testing.T, b []byte) string {
	var out strings.Builder
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				out.WriteString(k + "(")
				walk(v[k])
				out.WriteByte(')')
			}
		case []any:
			out.WriteByte('[')
			for _, inner := range v {
				walk(inner)
			}
			out.WriteByte(']')
		}
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	walk(v)
	return out.String()
}

func TestALiteralHasNoSignOfItsOwn(t *testing.T) {
	for text, want := range map[string]string{"colour": "colour", "a.b": `a\.b`, "[é]~": `\[é\]\~`, "x\x00": "x\\\x00", `\`: `\\`, "ключ 1": `ключ\ 1`} {
		if got := literal(text); got != want {
			t.Errorf("%q is written %q, want %q", text, got, want)
		}
	}
}
