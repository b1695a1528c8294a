package mongo

import (
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"catalog"
)

func TestDocument(t *testing.T) {
	d := catalog.ProductData{
		Price:      catalog.Money{Decimal: catalog.Decimal{Units: 149, Nanos: 900_000_000}, Currency: "EUR"},
		Attributes: map[string]string{"$set": "a.b", "": ""},
	}
	for i := range catalog.Fields {
		switch f := &catalog.Fields[i]; {
		case f.IsText():
			*f.Text(&d) = f.Example
		case f.Kind == catalog.KindList:
			*f.List(&d) = []string{f.Example}
		}
	}
	now := time.UnixMicro(1_772_600_767_123_456).UTC()
	for name, want := range map[string]catalog.Product{
		"a product with every field": {
			ID: catalog.DerivedID("p"), Version: 7, ProductData: d, CreatedAt: now, UpdatedAt: now.Add(time.Microsecond),
			PastPrices: []catalog.PastPrice{{Money: d.Price, Until: now}},
		},
		"a tombstone": {ID: catalog.DerivedID("q"), Version: 2, Deleted: true, CreatedAt: now, UpdatedAt: now},
	} {
		t.Run(name+" comes back exactly", func(t *testing.T) {
			b, err := bson.Marshal(newDocument(want))
			if err != nil {
				t.Fatal(err)
			}
			var doc document
			if err := bson.Unmarshal(b, &doc); err != nil {
				t.Fatal(err)
			}
			if got, err := doc.product(); err != nil || !got.Equal(want) {
				t.Fatalf("product = %+v, %v; want %+v", got, err, want)
			}
		})
	}
	t.Run("the data is a sub-document with a member for every field", func(t *testing.T) {
		b, err := bson.Marshal(newDocument(catalog.Product{ProductData: d}))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range catalog.FieldNames() {
			if _, err := bson.Raw(b).LookupErr("data", f); err != nil {
				t.Errorf("data.%s: %v", f, err)
			}
		}
	})
	t.Run("an invalid document is an error, and an unknown field is ignored", func(t *testing.T) {
		for _, c := range []struct {
			data bson.D
			want string // part of the error; "" for no error
		}{
			{bson.D{{Key: "name", Value: 1}}, "name"}, {bson.D{{Key: "tags", Value: "x"}}, "tags"}, {bson.D{{Key: "price", Value: "x"}}, "price"},
			{bson.D{{Key: "unknown", Value: 1}}, ""},
		} {
			b, _ := bson.Marshal(c.data)
			var d data
			if err := d.UnmarshalBSON(b); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("UnmarshalBSON(%v) = %v; want an error with %q", c.data, err, c.want)
			}
		}
	})
}
