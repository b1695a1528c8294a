package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
	"catalog/internal/wire"
)

var write = flag.Bool("write", false, "write missing golden files; existing ones stay as they are")

var moment = time.Date(2026, 3, 1, 9, 30, 0, 123456000, time.UTC)

func text(s string) *string { return &s }

// chair returns product data as the first version of the format had it.
func chair() catalog.ProductData {
	return catalog.ProductData{
		SKU: "CHA-7", Name: "Folding chair", Description: "Beech.\nPaper cord.", Category: "Furniture/Chairs",
		Price: catalog.Money{Decimal: catalog.Decimal{Units: 149, Nanos: 900_000_000}, Currency: "EUR"},
		Tags:  []string{"beech", "neu ü"}, Attributes: map[string]string{"width": "45", "a.b": "", "漢": "字"},
	}
}

func commands() map[string]catalog.Command {
	c := catalog.Command{
		ID: catalog.DerivedID("command"), Product: catalog.DerivedID("product"), Actor: "maria",
		Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", AcceptedAt: moment,
	}
	with := func(op catalog.Operation, only catalog.Condition) catalog.Command {
		c := c
		c.Op, c.If = op, only
		return c
	}
	branded := chair()
	branded.GTIN, branded.Brand = "4006381333931", "Carl Hansen"
	return map[string]catalog.Command{
		"create with brand and gtin": with(catalog.CreateProduct{Data: branded}, catalog.Condition{}),
		"patch brand and gtin":       with(catalog.PatchProduct{Patch: catalog.Patch{Brand: text("Carl Hansen"), GTIN: text("")}}, catalog.Condition{}),
		"create":                     with(catalog.CreateProduct{Data: chair()}, catalog.Condition{}),
		"put":                        with(catalog.PutProduct{Data: chair()}, catalog.Condition{Absent: true}),
		"void price":                 with(voidPrice, catalog.Condition{Version: 7}),
		"delete one of two versions": with(catalog.DeleteProduct{}, catalog.Condition{Version: 7, OrVersions: []int64{9}}),
		"delete":                     with(catalog.DeleteProduct{}, catalog.Condition{Version: 7}),
		"patch nothing":              with(catalog.PatchProduct{}, catalog.Condition{Exists: true}),
		"patch and make":             with(catalog.PatchProduct{Patch: catalog.Patch{Name: text("x")}, Create: true}, catalog.Condition{}),
		"patch all": with(catalog.PatchProduct{Patch: catalog.Patch{
			SKU: text(""), Name: text("Chair"), Description: text("d"), Currency: text("USD"), Category: text("c"),
			Amount: &catalog.Decimal{Units: 1, Nanos: 1}, Tags: &[]string{"t"}, ClearAttributes: true,
			Attributes: map[string]*string{"set": text("v"), "empty": text(""), "gone": nil},
		}}, catalog.Condition{}),
	}
}

var voidPrice = catalog.VoidPrice{Price: catalog.Money{Decimal: catalog.Decimal{Units: 1, Nanos: 490_000_000}, Currency: "EUR"}, Reason: "typing error"}

func events() map[string]catalog.Event {
	p := catalog.Product{ID: catalog.DerivedID("product"), ProductData: chair(), Version: 3, CreatedAt: moment, UpdatedAt: moment.Add(time.Second)}
	e := catalog.Event{
		Position: catalog.Position{Shard: 5, Seq: 1207}, Command: catalog.DerivedID("command"), Fingerprint: [32]byte{1, 2, 31: 3},
		Actor: "maria", Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", AcceptedAt: moment, SettledAt: moment.Add(time.Second),
	}
	with := func(k catalog.Outcome, p catalog.Product, r *catalog.Refusal) catalog.Event {
		e := e
		e.Outcome, e.Product, e.Refusal = k, p, r
		return e
	}
	gone := catalog.Product{ID: p.ID, Version: 4, Deleted: true, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
	moved, removed := with(catalog.Changed, p, nil), with(catalog.Deleted, gone, nil)
	moved.PreviousCategory, removed.PreviousCategory = "Furniture/Benches", "Furniture/Chairs"
	dearer := p
	dearer.PastPrices = []catalog.PastPrice{
		{Money: catalog.Money{Decimal: catalog.Decimal{Units: 99, Nanos: 500_000_000}, Currency: "EUR"}, Until: moment.Add(-time.Hour)},
		{Money: catalog.Money{Decimal: catalog.Decimal{Units: 12_000}, Currency: "JPY"}, Until: p.UpdatedAt},
	}
	void := with(catalog.Changed, dearer, nil)
	void.Void = &voidPrice
	branded := p
	branded.GTIN, branded.Brand = "4006381333931", "Carl Hansen"
	return map[string]catalog.Event{
		"created with brand and gtin": with(catalog.Created, branded, nil),
		"dearer":                      with(catalog.Changed, dearer, nil),
		"void price":                  void,
		"moved":                       moved, "removed": removed,
		"created": with(catalog.Created, p, nil), "changed": with(catalog.Changed, p, nil),
		"unchanged": with(catalog.Unchanged, p, nil), "deleted": with(catalog.Deleted, gone, nil),
		"refused": with(catalog.Refused, catalog.Product{ID: p.ID, Version: 3}, &catalog.Refusal{
			Code: catalog.CodeSKUTaken, Reason: "taken", Fields: []catalog.FieldError{{Field: "sku", Reason: "belongs to another"}},
		}),
	}
}

// golden returns the bytes that an earlier version encoded. Golden files are never
// removed: stored records must stay readable.
func golden(t *testing.T, name string, now []byte) []byte {
	t.Helper()
	file := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".golden")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) && *write {
		if err := os.WriteFile(file, []byte(hex.EncodeToString(now)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return old
}

func TestDecodeCommand_golden(t *testing.T) {
	for name, c := range commands() {
		t.Run(name, func(t *testing.T) {
			b, err := wire.EncodeCommand(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, bytes := range [][]byte{b, golden(t, "command "+name, b)} {
				if got, err := wire.DecodeCommand(bytes); err != nil || !reflect.DeepEqual(got, c) || got.Fingerprint() != c.Fingerprint() {
					t.Fatalf("DecodeCommand = %+v, %v; want %+v", got, err, c)
				}
			}
		})
	}
}

func TestDecodeEvent_golden(t *testing.T) {
	for name, e := range events() {
		t.Run(name, func(t *testing.T) {
			b, err := wire.EncodeEvent(e)
			if err != nil {
				t.Fatal(err)
			}
			for _, bytes := range [][]byte{b, golden(t, "event "+name, b)} {
				if got, err := wire.DecodeEvent(bytes); err != nil || !reflect.DeepEqual(got, e) {
					t.Fatalf("DecodeEvent = %+v, %v; want %+v", got, err, e)
				}
			}
		})
	}
}

func TestDecodeCommand_invalid(t *testing.T) {
	good, err := wire.EncodeCommand(commands()["create"])
	if err != nil {
		t.Fatal(err)
	}
	late := commands()["delete"]
	late.AcceptedAt = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	noTime, err := wire.EncodeCommand(late)
	if err != nil {
		t.Fatal(err)
	}
	noProduct := commands()["delete"]
	noProduct.Product = catalog.ID{}
	zeroID, err := wire.EncodeCommand(noProduct)
	if err != nil {
		t.Fatal(err)
	}
	manyVersions := commands()["delete"]
	manyVersions.If.OrVersions = make([]int64, 100_000)
	manyErrors, err := wire.EncodeCommand(manyVersions)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"a hundred thousand errors": manyErrors,
		"a product of id zero":      zeroID, "nothing": nil, "cut off": good[:len(good)-3], "text": []byte("hello"), "zeros": make([]byte, 100), "a time that no engine can store": noTime,
	} {
		if c, err := wire.DecodeCommand(b); err == nil {
			t.Errorf("%s: DecodeCommand = %+v; want an error", name, c)
		} else if len(err.Error()) > 1000 {
			t.Errorf("%s: the error has %d bytes; want a short one", name, len(err.Error()))
		}
	}
}

func TestDecodeCommand_newerVersion(t *testing.T) {
	unknown := protowire.AppendBytes(protowire.AppendTag(nil, 100, protowire.BytesType), nil)
	for name, change := range map[string]func(m *catalogv1.Command){
		"an operation": func(m *catalogv1.Command) { m.Operation = nil; m.ProtoReflect().SetUnknown(unknown) },
		"a field":      func(m *catalogv1.Command) { m.ProtoReflect().SetUnknown(unknown) },
		"a condition": func(m *catalogv1.Command) {
			m.Condition = &catalogv1.Condition{}
			m.Condition.ProtoReflect().SetUnknown(unknown)
		},
		"a field of the product":         func(m *catalogv1.Command) { m.GetCreate().GetData().ProtoReflect().SetUnknown(unknown) },
		"a field of the product's price": func(m *catalogv1.Command) { m.GetCreate().GetData().GetPrice().ProtoReflect().SetUnknown(unknown) },
	} {
		t.Run(name+" of a newer version is an error that asks for an update", func(t *testing.T) {
			b, err := wire.EncodeCommand(commands()["create"])
			if err != nil {
				t.Fatal(err)
			}
			m := &catalogv1.Command{}
			if err := proto.Unmarshal(b, m); err != nil {
				t.Fatal(err)
			}
			change(m)
			if b, err = proto.Marshal(m); err != nil {
				t.Fatal(err)
			}
			if c, err := wire.DecodeCommand(b); err == nil || !strings.Contains(err.Error(), "update the writers, then run catalog dead-letters replay") {
				t.Errorf("DecodeCommand = %+v, %v; want an error that asks for an update", c, err)
			}
		})
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, c := range commands() {
		b, _ := wire.EncodeCommand(c)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := wire.DecodeCommand(b)
		if err != nil {
			return
		}
		again, err := wire.EncodeCommand(c)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := wire.DecodeCommand(again); err != nil || d.Fingerprint() != c.Fingerprint() {
			t.Fatalf("%+v becomes %+v, %v", c, d, err)
		}
		// Every decoded command can be settled.
		eventlog.Settle(eventlog.Group{{NextSeq: 1, Commands: []catalog.Command{c}}}, eventlog.GroupState{}, moment)
	})
}

func FuzzDecodeEvent(f *testing.F) {
	for _, e := range events() {
		b, _ := wire.EncodeEvent(e)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := wire.DecodeEvent(b); err == nil {
			if e.Outcome == "" {
				t.Fatal("DecodeEvent returns an event without an outcome")
			}
			sameBytes(t, e, wire.EncodeEvent, wire.DecodeEvent)
		}
	})
}

func FuzzDecodeProduct(f *testing.F) {
	for _, e := range events() {
		b, _ := wire.EncodeProduct(e.Product)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := wire.DecodeProduct(b); err == nil {
			sameBytes(t, p, wire.EncodeProduct, wire.DecodeProduct)
		}
	})
}

// sameBytes encodes v, decodes it and encodes it again: both encodings must be
// equal.
func sameBytes[T any](t rapid.TB, v T, encode func(T) ([]byte, error), decode func([]byte) (T, error)) {
	t.Helper()
	first, err := encode(v)
	if err != nil {
		t.Fatal(err)
	}
	again, err := decode(first)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := encode(again); err != nil || !bytes.Equal(first, second) {
		t.Fatalf("%+v\nis decoded as %+v, %v", v, again, err)
	}
}

func TestRoundTrip(t *testing.T) {
	texts := rapid.String() // invalid ones too: a command that is refused later is also encoded
	ids := rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) catalog.ID { return catalog.ID(b) })
	times := rapid.Map(rapid.Int64Range(0, 4_000_000_000_000_000), func(us int64) time.Time { return time.UnixMicro(us).UTC() })
	decimals := rapid.Custom(func(t *rapid.T) catalog.Decimal {
		return catalog.Decimal{Units: rapid.Int64().Draw(t, "units"), Nanos: rapid.Int32().Draw(t, "nanos")}
	})
	data := rapid.Custom(func(t *rapid.T) catalog.ProductData {
		return catalog.ProductData{
			SKU: texts.Draw(t, "sku"), GTIN: texts.Draw(t, "gtin"), Name: "x" + texts.Draw(t, "name"), Brand: texts.Draw(t, "brand"), Description: texts.Draw(t, "description"),
			Price:    catalog.Money{Decimal: decimals.Draw(t, "amount"), Currency: texts.Draw(t, "currency")},
			Category: texts.Draw(t, "category"), Tags: rapid.SliceOf(texts).Draw(t, "tags"), Attributes: rapid.MapOf(texts, texts).Draw(t, "attributes"),
		}
	})
	maybe := rapid.Ptr(texts, true)
	operations := rapid.Custom(func(t *rapid.T) catalog.Operation {
		switch rapid.IntRange(0, 4).Draw(t, "operation") {
		case 4:
			return catalog.VoidPrice{Price: catalog.Money{Decimal: decimals.Draw(t, "amount"), Currency: texts.Draw(t, "currency")}, Reason: texts.Draw(t, "reason")}
		case 0:
			return catalog.CreateProduct{Data: data.Draw(t, "draft")}
		case 1:
			return catalog.PutProduct{Data: data.Draw(t, "draft")}
		case 2:
			return catalog.DeleteProduct{}
		}
		return catalog.PatchProduct{Create: rapid.Bool().Draw(t, "create"), Patch: catalog.Patch{
			SKU: maybe.Draw(t, "sku"), GTIN: maybe.Draw(t, "gtin"), Brand: maybe.Draw(t, "brand"), Name: maybe.Draw(t, "name"), Description: maybe.Draw(t, "description"),
			Amount: rapid.Ptr(decimals, true).Draw(t, "amount"), Currency: maybe.Draw(t, "currency"), Category: maybe.Draw(t, "category"),
			Tags: rapid.Ptr(rapid.SliceOf(texts), true).Draw(t, "tags"), ClearAttributes: rapid.Bool().Draw(t, "clear"),
			Attributes: rapid.MapOf(texts, maybe).Draw(t, "attributes"),
		}}
	})
	commands := rapid.Custom(func(t *rapid.T) catalog.Command {
		return catalog.Command{
			ID: ids.Draw(t, "id"), Product: ids.Draw(t, "product"), Op: operations.Draw(t, "op"),
			If: catalog.Condition{
				Version: rapid.Int64Range(0, 1<<62).Draw(t, "if version"), Exists: rapid.Bool().Draw(t, "if exists"), Absent: rapid.Bool().Draw(t, "if absent"),
				OrVersions: rapid.SliceOfN(rapid.Int64Range(1, 1<<62), 0, catalog.MaxOrVersions).Draw(t, "or versions"),
			},
			Actor: rapid.StringN(0, 200, -1).Draw(t, "actor"), Trace: rapid.StringN(0, 64, -1).Draw(t, "trace"), AcceptedAt: times.Draw(t, "accepted"),
		}
	})
	t.Run("commands", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			c := commands.Draw(t, "command")
			sameBytes(t, c, wire.EncodeCommand, wire.DecodeCommand)
			b, _ := wire.EncodeCommand(c)
			got, err := wire.DecodeCommand(b)
			if err != nil || got.ID != c.ID || got.Product != c.Product || got.Actor != c.Actor || got.Trace != c.Trace ||
				got.AcceptedAt != c.AcceptedAt || got.Fingerprint() != c.Fingerprint() {
				t.Fatalf("%+v\nis decoded as %+v, %v", c, got, err)
			}
		})
	})
	t.Run("events and products", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			b := eventlog.Batch{Shard: rapid.Int32Range(0, 1000).Draw(t, "shard"), NextSeq: rapid.Int64Range(1, 1<<62).Draw(t, "seq")}
			c := commands.Draw(t, "command")
			p := catalog.Product{
				ID: c.Product, ProductData: data.Draw(t, "draft"), Version: rapid.Int64Range(1, 1<<62).Draw(t, "version"),
				CreatedAt: times.Draw(t, "created"), UpdatedAt: times.Draw(t, "updated"),
			}
			if rapid.Bool().Draw(t, "gone") {
				p.ProductData, p.Deleted = catalog.ProductData{}, true
			}
			b.Commands = []catalog.Command{c}
			known := eventlog.GroupState{Products: map[catalog.ID]catalog.Product{p.ID: p}}
			settled := eventlog.Settle(eventlog.Group{b}, known, times.Draw(t, "now"))
			for _, e := range settled[0].Events {
				sameBytes(t, e, wire.EncodeEvent, wire.DecodeEvent)
				raw, _ := wire.EncodeEvent(e)
				got, err := wire.DecodeEvent(raw)
				if err != nil || got.Position != e.Position || got.Outcome != e.Outcome || got.Command != e.Command || got.Fingerprint != e.Fingerprint ||
					got.Actor != e.Actor || got.PreviousCategory != e.PreviousCategory || got.Trace != e.Trace || got.AcceptedAt != e.AcceptedAt || got.SettledAt != e.SettledAt ||
					!sameRefusal(got.Refusal, e.Refusal) || !reflect.DeepEqual(got.Void, e.Void) || !sameProduct(got.Product, e.Product) {
					t.Fatalf("%+v\nis decoded as %+v, %v", e, got, err)
				}
				raw, _ = wire.EncodeProduct(p)
				if got, err := wire.DecodeProduct(raw); err != nil || !sameProduct(got, p) {
					t.Fatalf("%+v\nis decoded as %+v, %v", p, got, err)
				}
			}
		})
	})
}

// sameRefusal reports whether a client sees the same refusal. The number of further
// fields is not encoded: it is in the last field's reason.
func sameRefusal(a, b *catalog.Refusal) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Code == b.Code && a.Reason == b.Reason && reflect.DeepEqual(a.Fields, b.Fields)
}

func TestRoundTrip_manyFieldErrors(t *testing.T) {
	r := &catalog.Refusal{}
	for i := range catalog.MaxFieldErrors + 5 {
		r.Add(fmt.Sprintf("tags[%d]", i), strings.Repeat("é", 600))
	}
	e := catalog.Event{Position: catalog.Position{Seq: 1}, Outcome: catalog.Refused}
	if !errors.As(r.Err(), &e.Refusal) {
		t.Fatal(r.Err())
	}
	b, err := wire.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.DecodeEvent(b)
	if err != nil || !reflect.DeepEqual(got.Refusal.Fields, e.Refusal.Fields) {
		t.Errorf("%d field errors are decoded as %d, %v; want the same, with the number of others", len(e.Refusal.Fields), len(got.Refusal.Fields), err)
	}
}

func sameProduct(a, b catalog.Product) bool {
	if !a.ProductData.Equal(b.ProductData) {
		return false
	}
	a.ProductData, b.ProductData = catalog.ProductData{}, catalog.ProductData{}
	return reflect.DeepEqual(a, b)
}

func TestRoundTrip_queries(t *testing.T) {
	product := func(name string) catalog.Product {
		at := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
		return catalog.Product{
			ID: catalog.DerivedID(name), Version: 1, CreatedAt: at, UpdatedAt: at,
			ProductData: catalog.ProductData{Name: name, Price: catalog.Money{Decimal: catalog.Decimal{Units: 1}, Currency: "EUR"}, Category: "Furniture", Tags: []string{"oak"}, Attributes: map[string]string{"width": "45"}},
		}
	}
	page := catalog.Page{
		Items: []catalog.Product{product("Oak table"), product("Chair")}, Total: 17, NextCursor: "next", DidYouMean: "oak",
		Match: catalog.MatchPartial, Unmatched: []string{"bv"}, Corrections: []catalog.Correction{{Word: "tabel", Correction: "table"}},
		Facets: []catalog.Facet{
			{Field: "category", Values: []catalog.FacetValue{{Value: "Furniture", Count: 2}}},
			{Field: "attribute", Attribute: "width", Values: []catalog.FacetValue{{Value: "45", Count: 2}}},
		},
		Highlights: [][]catalog.Highlight{
			{{Field: "category", Fragments: []catalog.Fragment{{Text: "x"}}}, {Field: "name", Fragments: []catalog.Fragment{{Text: "Oak", Match: true}, {Text: " table"}}}},
			nil,
		},
	}
	pageToJSON := func(p catalog.Page) api.Page { return wire.PageToJSON(p, catalog.BeforeLastReduction) }
	suggestionsToJSON := func(s catalog.Suggestions) api.Suggestions {
		return wire.SuggestionsToJSON(s, catalog.BeforeLastReduction)
	}
	suggestions := catalog.Suggestions{Texts: []string{"oak table"}, Categories: page.Facets[0].Values, Products: page.Items}
	for _, test := range []struct {
		name string
		got  any
		err  error
		want any
	}{
		roundTrip("a page in protobuf", page, wire.PageToProto, wire.PageFromProto),
		roundTrip("a page in JSON", page, pageToJSON, wire.PageFromJSON),
		roundTrip("suggestions in protobuf", suggestions, wire.SuggestionsToProto, wire.SuggestionsFromProto),
		roundTrip("suggestions in JSON", suggestions, suggestionsToJSON, wire.SuggestionsFromJSON),
	} {
		if test.err != nil || !reflect.DeepEqual(test.got, test.want) {
			t.Errorf("%s: got\n%+v, %v; want\n%+v", test.name, test.got, test.err, test.want)
		}
	}
	q := catalog.Query{
		Text: "oak", Category: "Furniture", Brand: "Carl Hansen", GTIN: "4006381333931", Tag: "new", Attributes: map[string]string{"width": "45"}, MinPrice: &catalog.Decimal{Units: 1}, MaxPrice: &catalog.Decimal{Units: 2},
		Currency: "EUR", Sort: catalog.PriceAscending, Limit: 7, Cursor: "c", Facets: []string{"brand", "tag"}, FacetAttributes: []string{"width"}, Highlight: true,
	}
	if got := wire.QueryFromProto(wire.QueryToProto(q)); !reflect.DeepEqual(got, q) {
		t.Errorf("QueryFromProto = %+v; want %+v", got, q)
	}
}

func roundTrip[T, M any](name string, value T, encode func(T) M, decode func(M) (T, error)) (test struct {
	name string
	got  any
	err  error
	want any
}) {
	test.name, test.want = name, value
	test.got, test.err = decode(encode(value))
	return test
}

// TestMaxRecord makes the largest command and the largest event that the rules allow.
func TestMaxRecord(t *testing.T) {
	const headers = 500       // more than the headers of a record have
	character := "\U0001d11e" // a character of four bytes
	set, removed := map[string]*string{}, map[string]*string{}
	value := strings.Repeat(character, catalog.MaxAttributeValue)
	data := catalog.ProductData{Price: catalog.Money{Currency: "EUR"}, Attributes: map[string]string{}}
	name := func(i, length int) string { return fmt.Sprintf("%03d", i) + strings.Repeat(character, length-3) }
	for i := range catalog.MaxAttributes {
		data.Attributes[name(i, catalog.MaxAttributeKey)] = value
		set[name(i, catalog.MaxAttributeKey)] = &value
		removed[name(i+catalog.MaxAttributes, catalog.MaxAttributeKey)] = nil
	}
	for i := range catalog.MaxTags {
		data.Tags = append(data.Tags, name(i, catalog.MaxTag))
	}
	for i := range catalog.Fields {
		if f := &catalog.Fields[i]; f.IsText() {
			if text := strings.Repeat(character, f.MaxLen); f.Check(text) == "" {
				*f.Text(&data) = text
			} else {
				*f.Text(&data) = f.Example
			}
		}
	}
	if err := data.Validate(); err != nil {
		t.Fatal(err)
	}
	maps.Copy(set, removed)
	p := catalog.Patch{Name: &data.Name, Brand: &data.Brand, Description: &data.Description, Category: &data.Category, SKU: &data.SKU, Tags: &data.Tags, Attributes: set}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	product := catalog.Product{ID: catalog.DerivedID("p"), ProductData: data, Version: 1 << 40}
	for range catalog.MaxPastPrices {
		product.PastPrices = append(product.PastPrices, catalog.PastPrice{Money: catalog.Money{Currency: "EUR"}, Until: time.Now()})
	}
	command, err := wire.EncodeCommand(catalog.Command{ID: catalog.DerivedID("p"), Product: catalog.DerivedID("p"), Op: catalog.PatchProduct{Patch: p}})
	if err != nil {
		t.Fatal(err)
	}
	event, err := wire.EncodeEvent(catalog.Event{Product: product, Outcome: catalog.Changed, PreviousCategory: data.Category})
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{"command": command, "event": event} {
		if len(b)+headers > wire.MaxRecord {
			t.Errorf("the largest %s has %d bytes; want at most %d with its headers", what, len(b), wire.MaxRecord)
		}
		t.Logf("the largest %s has %d bytes", what, len(b))
	}
}
