package gateway

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"catalog/api"

	"github.com/labstack/echo/v5"
	"go.yaml.in/yaml/v3"

	"catalog"
)

// contract validates requests before a handler runs. It has the parameters of
// each operation from the OpenAPI document.
type contract struct {
	json   []byte // the OpenAPI document
	params map[operation][]parameter
}

// operation is a method and an Echo route, such as GET and /api/v1/products/:id.
type operation struct{ method, route string }

type parameter struct {
	Ref      string `yaml:"$ref"`
	Name, In string
	Schema   schema
	pattern  *regexp.Regexp
}

type schema struct {
	Type             string
	Format, Pattern  string
	Enum             []string
	MinLength        int `yaml:"minLength"`
	MaxLength        int `yaml:"maxLength"`
	Minimum, Maximum *int64
	Items            *schema // entries of an array: the parameter may be repeated
	MaxItems         int     `yaml:"maxItems"`
}

// embeddedContract returns the contract of this program. It is parsed once: the
// document never changes, and tests make hundreds of gateways.
var embeddedContract = sync.OnceValues(func() (*contract, error) { return readContract(api.OpenAPI) })

// readContract parses the OpenAPI document.
func readContract(document []byte) (*contract, error) {
	var tree any
	if err := yaml.Unmarshal(document, &tree); err != nil {
		return nil, fmt.Errorf("parse the OpenAPI document: %w", err)
	}
	c := &contract{params: map[operation][]parameter{}}
	var err error
	if c.json, err = json.Marshal(tree); err != nil {
		return nil, fmt.Errorf("parse the OpenAPI document: %w", err)
	}
	var d struct {
		Paths      map[string]map[string]yaml.Node
		Components struct{ Parameters map[string]parameter }
	}
	if err := yaml.Unmarshal(document, &d); err != nil {
		return nil, fmt.Errorf("parse the OpenAPI document: %w", err)
	}
	for path, item := range d.Paths {
		var shared []parameter
		if node, ok := item["parameters"]; ok {
			if err := node.Decode(&shared); err != nil {
				return nil, fmt.Errorf("parse the parameters of %s: %w", path, err)
			}
		}
		route := strings.NewReplacer("{", ":", "}", "").Replace(path)
		for method, node := range item {
			if method == "parameters" {
				continue
			}
			var o struct{ Parameters []parameter }
			if err := node.Decode(&o); err != nil {
				return nil, fmt.Errorf("parse %s %s: %w", method, path, err)
			}
			params := slices.Concat(shared, o.Parameters)
			for i, p := range params {
				if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					params[i] = d.Components.Parameters[name]
				}
				if p := &params[i]; p.Schema.Pattern != "" {
					if p.pattern, err = regexp.Compile(p.Schema.Pattern); err != nil {
						return nil, fmt.Errorf("parameter %s of %s: %w", p.Name, path, err)
					}
				}
			}
			c.params[operation{strings.ToUpper(method), route}] = params
		}
	}
	return c, nil
}

// validate is a middleware that rejects requests whose parameters break the
// contract. It allocates little: a read from the near cache takes hardly longer
// than this.
func (k *contract) validate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		r := c.Request()
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		params, ok := k.params[operation{method, c.Path()}]
		if !ok {
			return next(c)
		}
		refusal := &catalog.Refusal{}
		var query url.Values // stays nil without a query string, the common case
		if r.URL.RawQuery != "" {
			var err error
			if query, err = url.ParseQuery(r.URL.RawQuery); err != nil { // URL.Query would leave out parameters that it cannot parse
				return catalog.Invalid("query", "must be encoded like name=value&name=value, with %25 for a percent sign and %3B for a semicolon")
			}
		}
		for i := range params {
			switch p := &params[i]; p.In {
			case "path":
				if reason := p.violation(c.Param(p.Name)); reason != "" {
					refusal.Add(p.Name, reason)
				}
			case "query":
				p.check(query[p.Name], refusal)
				delete(query, p.Name)
			case "header":
				p.check(headerValues(r.Header, p.Name), refusal)
			}
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			refuseConditions(r.Header, params, refusal)
		}
		if len(query) > 0 {
			refuseUnknown(query, params, refusal)
		}
		if err := refusal.Err(); err != nil {
			return err
		}
		return next(c)
	}
}

// listHeaders are the headers whose value is a list. Lines of one name count as one list
// (RFC 9110, section 5.3).
var listHeaders = []string{"If-Match", "If-None-Match", "Prefer", "Catalog-Position"}

// headerValues returns the values of a header, and joins the lines of a list for the handler.
func headerValues(h http.Header, name string) []string {
	values := h.Values(name)
	if len(values) > 1 && slices.Contains(listHeaders, name) {
		h.Set(name, strings.Join(values, ", "))
		return h.Values(name)
	}
	return values
}

// refuseConditions adds the conditions that a write does not know to the refusal: without
// them, it would change what the client wanted to keep.
func refuseConditions(h http.Header, params []parameter, refusal *catalog.Refusal) {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if _, given := h[name]; given && !slices.ContainsFunc(params, func(p parameter) bool { return p.Name == name }) {
			refusal.Add(name, "is no condition of this operation; leave it out")
		}
	}
}

// check adds the parameter to the refusal when its values break the contract.
func (p *parameter) check(values []string, refusal *catalog.Refusal) {
	limit := max(1, p.Schema.MaxItems)
	switch {
	case len(values) > limit && limit == 1:
		refusal.Add(p.Name, "must not be repeated")
	case len(values) > limit:
		refusal.Add(p.Name, fmt.Sprintf("must not be given more than %d times", limit))
	default:
		for _, v := range values {
			if reason := p.violation(v); reason != "" {
				refusal.Add(p.Name, reason)
				break
			}
		}
	}
}

// refuseUnknown adds the parameters that the operation does not have to the refusal.
func refuseUnknown(unknown url.Values, params []parameter, refusal *catalog.Refusal) {
	var known []string
	for _, p := range params {
		if p.In == "query" {
			known = append(known, p.Name)
		}
	}
	list := "this operation has no query parameters"
	if len(known) > 0 {
		list = "known parameters: " + strings.Join(known, ", ")
	}
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		refusal.Add(cmp.Or(strings.ToValidUTF8(fmt.Sprintf("%.80s", name), "\uFFFD"), `""`), "is unknown; "+list)
	}
}

// violation returns the rule that the value breaks, or "".
func (p *parameter) violation(v string) string {
	s := &p.Schema
	if s.Items != nil {
		s = s.Items
	}
	switch {
	case !utf8.ValidString(v) || strings.ContainsRune(v, 0):
		return "must be text in UTF-8 without NUL"
	case v == "" && s.MinLength == 1:
		return "must not be empty"
	case utf8.RuneCountInString(v) < s.MinLength:
		return cmp.Or(patternHelp[p.Name], fmt.Sprintf("must have at least %d characters", s.MinLength))
	case s.MaxLength > 0 && utf8.RuneCountInString(v) > s.MaxLength:
		return fmt.Sprintf("must have at most %d characters", s.MaxLength)
	case s.Enum != nil && !slices.Contains(s.Enum, v):
		return "must be one of " + strings.Join(s.Enum, ", ")
	case p.pattern != nil && !p.pattern.MatchString(v):
		return cmp.Or(patternHelp[p.Name], "must match "+s.Pattern)
	}
	switch {
	case s.Type == "boolean" && v != "true" && v != "false":
		return "must be true or false"
	case s.Format == "uuid":
		if _, err := catalog.ParseID(v); err != nil {
			return "must be a UUID such as 0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"
		}
	case s.Type == "integer":
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || s.Minimum != nil && n < *s.Minimum || s.Maximum != nil && n > *s.Maximum {
			if s.Minimum != nil && s.Maximum != nil {
				return fmt.Sprintf("must be a whole number from %d to %d", *s.Minimum, *s.Maximum)
			}
			return "must be a whole number, 1 or more"
		}
	}
	return ""
}

// patternHelp describes the patterns and forms in the contract, by parameter.
var patternHelp = map[string]string{
	"attribute":        "must be key:value, such as colour:black",
	"minPrice":         "must be a decimal number such as 149.90",
	"maxPrice":         "must be a decimal number such as 149.90",
	"gtin":             "must be a GTIN: 8, 12, 13 or 14 digits",
	"currency":         "must be a code of ISO 4217 such as EUR",
	"facets":           "must be true, false or some of category, brand, tag and currency, separated by commas",
	"If-Match":         `must be a version in quotes, such as "7", as in the ETag of a response, up to ten of them separated by commas, or *`,
	"If-None-Match":    "must be * for a write, which means: only if the product does not exist",
	"Last-Event-ID":    "must be the id of an event of this stream, or 0",
	"Catalog-Position": "must be a position such as 5.1207, as in the Catalog-Position of a response",
}
