package kafka

import (
	"strings"
	"testing"

	"catalog"
)

func TestDecodeEvent(t *testing.T) {
	l := &Log{cfg: Config{TopicPrefix: "test"}, shards: shards}
	valid := catalog.ProductData{Name: "Chair", Price: catalog.Money{Decimal: catalog.Decimal{Units: 1}, Currency: "EUR"}}
	for name, tt := range map[string]struct {
		spoil func(*catalog.Event)
		ok    bool
	}{
		"an event of a valid product": {func(*catalog.Event) {}, true},
		"a refusal without the data of the product": {func(e *catalog.Event) {
			e.Outcome, e.Product.ProductData, e.Refusal = catalog.Refused, catalog.ProductData{}, &catalog.Refusal{Code: catalog.CodeInvalid}
		}, true},
		"a text that is too long":  {func(e *catalog.Event) { e.Product.Description = strings.Repeat("word ", 2000) }, false},
		"a NUL in an attribute":    {func(e *catalog.Event) { e.Product.Attributes = map[string]string{"a\x00b": "c"} }, false},
		"a product without a name": {func(e *catalog.Event) { e.Product.Name = "" }, false},
		"another partition":        {func(e *catalog.Event) { e.Shard = 1 }, false},
		"a seq of zero":            {func(e *catalog.Event) { e.Seq = 0 }, false},
	} {
		e := event(0, 1)
		e.Outcome, e.Product.Deleted, e.Product.ProductData = catalog.Changed, false, valid
		tt.spoil(&e)
		r, err := l.eventRecord(e)
		if err != nil {
			t.Fatal(err)
		}
		r.Partition = 0
		if _, err := l.decodeEvent(r); (err == nil) != tt.ok {
			t.Errorf("%s: decodeEvent returns %v; want no error: %v", name, err, tt.ok)
		}
	}
}
