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

// TestBuildQuery_injection compares the structure of two queries: one with operators of OpenSearch in
// its values and one with harmless values.
func TestBuildQuery_injection(t *testing.T) {
	const evil = `"}},{"match_all":{}},{"term":{"x":"\` + "\x00*"
	for name, q := range map[string]catalog.Query{
		"text": {Text: "oak" + evil}, "category": {Category: evil}, "tag": {Tag: evil}, "attribute": {Attributes: map[string]string{evil: evil}},
	} {
		t.Run(name, func(t *testing.T) {
			want := structure(t, buildQuery(textsearch.DefaultRules().NewPlan(harmless(q))))
			if got := structure(t, buildQuery(textsearch.DefaultRules().NewPlan(q))); got != want {
				t.Errorf("structure\n%s; want\n%s", got, want)
			}
		})
	}
}

// harmless returns the query with harmless values in the place of those that are set.
func harmless(q catalog.Query) catalog.Query {
	if q.Text != "" {
		q.Text = "oak match_all term x"
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

// structure returns the keys and lists of JSON without its values.
func structure(t *testing.T, query any) string {
	t.Helper()
	b, err := json.Marshal(query)
	if err != nil {
		t.Fatal(err)
	}
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

func TestEscapeRegexp(t *testing.T) {
	for text, want := range map[string]string{"colour": "colour", "a.b": `a\.b`, "[é]~": `\[é\]\~`, "x\x00": "x\\\x00", `\`: `\\`, "ключ 1": `ключ\ 1`} {
		if got := escapeRegexp(text); got != want {
			t.Errorf("escapeRegexp(%q) = %q; want %q", text, got, want)
		}
	}
}
