package mongo

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"catalog"
	"catalog/internal/wire"
)

// document is a product in the collection. Money is two integers and times are
// microseconds since 1970, so nothing is rounded.
type document struct {
	ID         string      `bson:"_id"`
	Version    int64       `bson:"version"`
	Deleted    bool        `bson:"deleted,omitempty"`
	Data       data        `bson:"data"`
	CreatedAt  int64       `bson:"createdAt"`
	UpdatedAt  int64       `bson:"updatedAt"`
	PastPrices []pastPrice `bson:"pastPrices,omitempty"`
}

type pastPrice struct {
	Price money `bson:"price"`
	Until int64 `bson:"until"`
}

type money struct {
	Units    int64  `bson:"units"`
	Nanos    int32  `bson:"nanos"`
	Currency string `bson:"currency"`
}

func newMoney(m catalog.Money) money { return money{m.Units, m.Nanos, m.Currency} }

func (m money) money() catalog.Money {
	return catalog.Money{Decimal: catalog.Decimal{Units: m.Units, Nanos: m.Nanos}, Currency: m.Currency}
}

// attribute is an entry of a map. Maps are lists of entries because keys in BSON
// documents cannot have all characters: dots and dollars have a meaning.
type attribute struct {
	Key   string `bson:"k"`
	Value string `bson:"v"`
}

// data is the product data as a sub-document, without empty fields. It loops over
// catalog.Fields, so a new field needs no code here.
type data catalog.ProductData

// MarshalBSON implements bson.Marshaler.
func (d data) MarshalBSON() ([]byte, error) {
	p := catalog.ProductData(d)
	doc := bson.D{}
	add := func(f *catalog.Field, value any) { doc = append(doc, bson.E{Key: f.Name, Value: value}) }
	for i := range catalog.Fields {
		switch f := &catalog.Fields[i]; f.Kind {
		case catalog.KindMoney:
			if p.Price != (catalog.Money{}) {
				add(f, newMoney(p.Price))
			}
		case catalog.KindList:
			if list := *f.List(&p); len(list) > 0 {
				add(f, list)
			}
		case catalog.KindMap:
			list := make([]attribute, 0, len(p.Attributes))
			for _, k := range slices.Sorted(maps.Keys(p.Attributes)) { // in a stable order for operators
				list = append(list, attribute{k, p.Attributes[k]})
			}
			if len(list) > 0 {
				add(f, list)
			}
		default:
			if text := *f.Text(&p); text != "" {
				add(f, text)
			}
		}
	}
	return bson.Marshal(doc)
}

// UnmarshalBSON implements bson.Unmarshaler. It ignores unknown fields, which a
// newer version may have written.
func (d *data) UnmarshalBSON(b []byte) error {
	elements, err := bson.Raw(b).Elements()
	if err != nil {
		return err
	}
	var p catalog.ProductData
	for _, e := range elements {
		f := catalog.FieldByName(e.Key())
		if f == nil {
			continue
		}
		switch f.Kind {
		case catalog.KindMoney:
			var m money
			err = e.Value().Unmarshal(&m)
			p.Price = m.money()
		case catalog.KindList:
			err = e.Value().Unmarshal(f.List(&p))
		case catalog.KindMap:
			var list []attribute
			err = e.Value().Unmarshal(&list)
			p.Attributes = make(map[string]string, len(list))
			for _, a := range list {
				p.Attributes[a.Key] = a.Value
			}
		default:
			err = e.Value().Unmarshal(f.Text(&p))
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	*d = data(p)
	return nil
}

func newDocument(p catalog.Product) document {
	d := document{
		ID: p.ID.String(), Version: p.Version, Deleted: p.Deleted, Data: data(p.ProductData),
		CreatedAt: p.CreatedAt.UnixMicro(), UpdatedAt: p.UpdatedAt.UnixMicro(),
	}
	for _, past := range p.PastPrices {
		d.PastPrices = append(d.PastPrices, pastPrice{newMoney(past.Money), past.Until.UnixMicro()})
	}
	return d
}

func (d document) product() (catalog.Product, error) {
	id, err := catalog.ParseID(d.ID)
	if err != nil {
		return catalog.Product{}, fmt.Errorf("document %q: %w", d.ID, err)
	}
	p := catalog.Product{
		ID: id, Version: d.Version, Deleted: d.Deleted, ProductData: catalog.ProductData(d.Data),
		CreatedAt: wire.TruncateTime(time.UnixMicro(d.CreatedAt)), UpdatedAt: wire.TruncateTime(time.UnixMicro(d.UpdatedAt)),
	}
	for _, past := range d.PastPrices {
		p.PastPrices = append(p.PastPrices, catalog.PastPrice{Money: past.Price.money(), Until: wire.TruncateTime(time.UnixMicro(past.Until))})
	}
	return p, nil
}
