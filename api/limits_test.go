package api_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
)

// The limits of products and queries are constants of the root package. These
// tests compare them with the contracts and the console's form.

func TestLimits_openAPI(t *testing.T) {
	var document map[string]any
	if err := yaml.Unmarshal(api.OpenAPI, &document); err != nil {
		t.Fatal(err)
	}
	// is compares the value at the path below node; a list is searched by name.
	is := func(node any, path string, want any) {
		t.Helper()
		for name := range strings.SplitSeq(path, " ") {
			switch n := node.(type) {
			case map[string]any:
				node = n[name]
			case []any:
				i := slices.IndexFunc(n, func(v any) bool { return v.(map[string]any)["name"] == name })
				if i < 0 {
					t.Errorf("%s: there is no %s", path, name)
					return
				}
				node = n[i]
			}
		}
		if fmt.Sprint(node) != fmt.Sprint(want) {
			t.Errorf("%s = %v; want %v", path, node, want)
		}
	}
	schemas := document["components"].(map[string]any)["schemas"]
	for _, name := range []string{"ProductData", "Patch"} {
		var required []any
		for _, f := range catalog.Fields {
			field := name + " properties " + f.Name + " "
			switch f.Kind {
			case catalog.KindList:
				is(schemas, field+"maxItems", f.MaxEntries)
				is(schemas, field+"items maxLength", f.MaxLen)
			case catalog.KindMap:
				is(schemas, field+"additionalProperties maxLength", f.MaxLen)
				if name == "ProductData" { // a patch may name more keys: those that it removes
					is(schemas, field+"maxProperties", f.MaxEntries)
				}
			case catalog.KindMoney:
			default:
				if f.Name == "gtin" {
					is(schemas, field+"pattern", gtinPattern)
				} else {
					is(schemas, field+"maxLength", f.MaxLen)
				}
			}
			if f.Required {
				required = append(required, f.Name)
			}
		}
		if name == "ProductData" {
			is(schemas, name+" required", required)
		}
	}
	list, suggest := "/api/v1/products get parameters ", "/api/v1/suggest get parameters "
	for path, want := range map[string]any{
		list + "q schema maxLength":                                catalog.MaxText,
		list + "category schema maxLength":                         catalog.MaxCategory,
		list + "brand schema maxLength":                            catalog.MaxBrand,
		list + "gtin schema pattern":                               gtinPattern,
		list + "tag schema maxLength":                              catalog.MaxTag,
		list + "attribute schema maxItems":                         catalog.MaxFilters,
		list + "attribute schema items maxLength":                  catalog.MaxAttributeKey + len(":") + catalog.MaxAttributeValue,
		list + "limit schema maximum":                              catalog.MaxLimit,
		list + "limit schema default":                              catalog.DefaultLimit,
		list + "cursor schema maxLength":                           catalog.MaxCursor,
		list + "facet schema maxItems":                             catalog.MaxFilters,
		list + "facet schema items maxLength":                      catalog.MaxAttributeKey,
		suggest + "q schema maxLength":                             catalog.MaxText,
		suggest + "limit schema maximum":                           catalog.MaxSuggestions,
		suggest + "limit schema default":                           catalog.DefaultSuggestions,
		"/api/v1/changes get parameters category schema maxLength": catalog.MaxCategory,
	} {
		is(document["paths"], path, want)
	}
	t.Run("the pattern of a GTIN accepts the lengths of a GTIN", func(t *testing.T) {
		pattern := regexp.MustCompile(gtinPattern)
		for n := range 2 * catalog.MaxGTIN {
			if got, want := pattern.MatchString(strings.Repeat("0", n)), catalog.FieldByName("gtin").Check(strings.Repeat("0", n)) == ""; got != want {
				t.Errorf("%d digits: matches = %t; want %t", n, got, want)
			}
		}
	})
}

const gtinPattern = `^([0-9]{8}|[0-9]{12,14})$`

func TestLimits_protobuf(t *testing.T) {
	rules := func(m proto.Message, field string) *validate.FieldRules {
		t.Helper()
		f := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(field))
		if f == nil {
			t.Fatalf("%T has no field %s", m, field)
		}
		return proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	}
	search, suggest := &catalogv1.SearchProductsRequest{}, &catalogv1.SuggestProductsRequest{}
	for _, c := range []struct {
		name string
		got  uint64
		want int
	}{
		{"search text", rules(search, "text").GetString().GetMaxLen(), catalog.MaxText},
		{"search category", rules(search, "category").GetString().GetMaxLen(), catalog.MaxCategory},
		{"search brand", rules(search, "brand").GetString().GetMaxLen(), catalog.MaxBrand},
		{"search gtin", rules(search, "gtin").GetString().GetMaxLen(), catalog.MaxGTIN},
		{"search tag", rules(search, "tag").GetString().GetMaxLen(), catalog.MaxTag},
		{"search limit", uint64(rules(search, "limit").GetInt32().GetLte()), catalog.MaxLimit},
		{"search cursor", rules(search, "cursor").GetString().GetMaxLen(), catalog.MaxCursor},
		{"search positions", rules(search, "positions").GetRepeated().GetMaxItems(), catalog.MaxPositions},
		{"search attributes", rules(search, "attributes").GetMap().GetMaxPairs(), catalog.MaxFilters},
		{"search facet attributes", rules(search, "facet_attributes").GetRepeated().GetMaxItems(), catalog.MaxFilters},
		{"suggest text", rules(suggest, "text").GetString().GetMaxLen(), catalog.MaxText},
		{"suggest limit", uint64(rules(suggest, "limit").GetInt32().GetLte()), catalog.MaxSuggestions},
		{"suggest positions", rules(suggest, "positions").GetRepeated().GetMaxItems(), catalog.MaxPositions},
		{"changes category", rules(&catalogv1.WatchChangesRequest{}, "category").GetString().GetMaxLen(), catalog.MaxCategory},
		{"SKUs", rules(&catalogv1.FindSKUsRequest{}, "skus").GetRepeated().GetItems().GetString().GetMaxLen(), catalog.MaxSKU},
	} {
		if c.got != uint64(c.want) {
			t.Errorf("%s: limit = %d; want %d", c.name, c.got, c.want)
		}
	}
}

func TestLimits_console(t *testing.T) {
	page, err := os.ReadFile("../web/index.html")
	if err != nil {
		t.Fatal(err)
	}
	form := page[strings.Index(string(page), `<form id="edit">`):]
	var inputs []string
	for _, tag := range regexp.MustCompile(`<(?:input|textarea) name="([a-z]+)"[^>]*>`).FindAllStringSubmatch(string(form), -1) {
		f := catalog.FieldByName(tag[1])
		if f == nil || !f.IsText() {
			continue // amount and currency
		}
		inputs = append(inputs, f.Name)
		if want := fmt.Sprintf(`maxlength="%d"`, f.MaxLen); !strings.Contains(tag[0], want) {
			t.Errorf("%s has not %s", tag[0], want)
		}
		if required := strings.Contains(tag[0], " required"); required != f.Required {
			t.Errorf("%s: required = %t; want %t", tag[0], required, f.Required)
		}
	}
	for _, f := range catalog.Fields {
		if f.IsText() && !slices.Contains(inputs, f.Name) {
			t.Errorf("the form has no input for %s", f.Name)
		}
	}
}
