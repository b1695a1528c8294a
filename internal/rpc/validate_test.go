package rpc

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	catalogv1 "catalog/api/catalog/v1"
)

// TestValidate has a request for each text that clients choose.
func TestValidate(t *testing.T) {
	text := func(n int) string { return strings.Repeat("x", n) }
	many := func(n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprint(i))
		}
		return all
	}
	search := func(change func(*catalogv1.SearchProductsRequest)) proto.Message {
		r := &catalogv1.SearchProductsRequest{Limit: 1}
		change(r)
		return r
	}
	suggest := func(n int) proto.Message { return &catalogv1.SuggestProductsRequest{Text: text(n), Limit: 1} }
	type S = *catalogv1.SearchProductsRequest
	for field, c := range map[string]struct {
		most    int
		request func(n int) proto.Message
	}{
		"text":              {200, func(n int) proto.Message { return search(func(r S) { r.Text = text(n) }) }},
		"text ":             {200, suggest},
		"category":          {250, func(n int) proto.Message { return search(func(r S) { r.Category = text(n) }) }},
		"tag":               {64, func(n int) proto.Message { return search(func(r S) { r.Tag = text(n) }) }},
		"brand":             {100, func(n int) proto.Message { return search(func(r S) { r.Brand = text(n) }) }},
		"gtin":              {14, func(n int) proto.Message { return search(func(r S) { r.Gtin = text(n) }) }},
		"currency":          {3, func(n int) proto.Message { return search(func(r S) { r.Currency = text(n) }) }},
		"cursor":            {2000, func(n int) proto.Message { return search(func(r S) { r.Cursor = text(n) }) }},
		"facet_attributes":  {64, func(n int) proto.Message { return search(func(r S) { r.FacetAttributes = []string{text(n)} }) }},
		"attributes":        {64, func(n int) proto.Message { return search(func(r S) { r.Attributes = map[string]string{text(n): "x"} }) }},
		"attributes ":       {2000, func(n int) proto.Message { return search(func(r S) { r.Attributes = map[string]string{"x": text(n)} }) }},
		"facet_attributes ": {10, func(n int) proto.Message { return search(func(r S) { r.FacetAttributes = many(n) }) }},
		"positions": {64, func(n int) proto.Message {
			return search(func(r S) { r.Positions = make([]*catalogv1.Position, n) })
		}},
	} {
		if err := validate(c.request(c.most)); err != nil {
			t.Errorf("%s of size %d: %v; want nil", field, c.most, err)
		}
		for _, size := range []int{c.most + 1, 10_000} {
			err := validate(c.request(size))
			fields := Fields(err)
			if status.Code(err) != codes.InvalidArgument || len(fields) != 1 || !strings.HasPrefix(fields[0].Field, strings.TrimSpace(field)) {
				t.Errorf("%s of size %d: %.200v; want INVALID_ARGUMENT with the field", field, size, err)
			} else if len(err.Error()) > 1000 {
				t.Errorf("%s of size %d: an error of %d bytes; want no echo of the value", field, size, len(err.Error()))
			}
		}
	}
	// A request has room for a million errors.
	if fields := Fields(validate(&catalogv1.GetProductsRequest{Products: make([]*catalogv1.GetProductRequest, 100_000)})); len(fields) != 1 {
		t.Errorf("a request for 100,000 products without an id: %d errors; want the first one", len(fields))
	}
}
