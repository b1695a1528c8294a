package enginetest

import (
	"fmt"
	"reflect"

	"catalog"
)

// everyField returns product data in which every field has the example value of
// the table catalog.Fields. It panics when a field of ProductData is missing from
// the table, so that the suites cannot forget a field that is added later.
func everyField() catalog.ProductData {
	d := catalog.ProductData{Price: price(149, 900_000_000, "EUR"), Attributes: map[string]string{"width": "80"}}
	for i := range catalog.Fields {
		switch f := &catalog.Fields[i]; f.Kind {
		case catalog.KindLine, catalog.KindProse:
			*f.Text(&d) = f.Example
		case catalog.KindList:
			*f.List(&d) = []string{f.Example}
		}
	}
	for v, i := reflect.ValueOf(d), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			panic(fmt.Sprintf("enginetest: everyField does not set %s", v.Type().Field(i).Name))
		}
	}
	return d
}
