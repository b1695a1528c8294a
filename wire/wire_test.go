package wire_test

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"catalog"
	"catalog/wire"
)

var write = flag.Bool("write", false, "write golden files that are not there; those that are stay as they are")

var moment = time.Date(2026, 3, 1, 9, 30, 0, 123456000, time.UTC)

func text(s string) *string { return &s }

// chair says something of everything.
func chair() catalog.Draft {
	return catalog.Draft{
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
	return map[string]catalog.Command{
		"create":         with(catalog.CreateProduct{Draft: chair()}, catalog.Condition{}),
		"put":            with(catalog.PutProduct{Draft: chair()}, catalog.Condition{Absent: true}),
		"delete":         with(catalog.DeleteProduct{}, catalog.Condition{Version: 7}),
		"patch nothing":  with(catalog.PatchProduct{}, catalog.Condition{Exists: true}),
		"patch and make": with(catalog.PatchProduct{Patch: catalog.Patch{Name: text("x")}, Create: true}, catalog.Condition{}),
		"patch all": with(catalog.PatchProduct{Patch: catalog.Patch{
			SKU: text(""), Name: text("Chair"), Description: text("d"), Currency: text("USD"), Category: text("c"),
			Amount: &catalog.Decimal{Units: 1, Nanos: 1}, Tags: &[]string{"t"}, ClearAttributes: true,
			Attributes: map[string]*string{"set": text("v"), "empty": text(""), "gone": nil},
		}}, catalog.Condition{}),
	}
}

func events() map[string]catalog.Event {
	p := catalog.Product{ID: catalog.DerivedID("product"), Draft: chair(), Version: 3, CreatedAt: moment, UpdatedAt: moment.Add(time.Second)}
	e := catalog.Event{
		Position: catalog.Position{Shard: 5, Seq: 1207}, Command: catalog.DerivedID("command"), Fingerprint: [32]byte{1, 2, 31: 3},
		Actor: "maria", Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", AcceptedAt: moment, SettledAt: moment.Add(time.Second),
	}
	with := func(k catalog.Kind, p catalog.Product, r *catalog.Refusal) catalog.Event {
		e := e
		e.Kind, e.Product, e.Refusal = k, p, r
		return e
	}
	gone := catalog.Product{ID: p.ID, Version: 4, Deleted: true, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
	return map[string]catalog.Event{
		"created": with(catalog.Created, p, nil), "changed": with(catalog.Changed, p, nil),
		"unchanged": with(catalog.Unchanged, p, nil), "deleted": with(catalog.Deleted, gone, nil),
		"refused": with(catalog.Refused, catalog.Product{ID: p.ID, Version: 3}, &catalog.Refusal{
			Code: catalog.CodeSKUTaken, Reason: "taken", Fields: []catalog.FieldError{{Field: "sku", Reason: "belongs to another"}},
		}),
	}
}

// golden reads the bytes that an earlier version wrote. They are never removed:
// what was written once must be read for ever.
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

func TestCommandsOfEveryVersionAreRead(t *testing.T) {
	for name, c := range commands() {
		t.Run(name, func(t *testing.T) {
			b, err := wire.EncodeCommand(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, bytes := range [][]byte{b, golden(t, "command "+name, b)} {
				if got, err := wire.DecodeCommand(bytes); err != nil || !reflect.DeepEqual(got, c) || got.Fingerprint() != c.Fingerprint() {
					t.Fatalf("read as %+v, %v; want %+v", got, err, c)
				}
			}
		})
	}
}

func TestEventsOfEveryVersionAreRead(t *testing.T) {
	for name, e := range events() {
		t.Run(name, func(t *testing.T) {
			b, err := wire.EncodeEvent(e)
			if err != nil {
				t.Fatal(err)
			}
			for _, bytes := range [][]byte{b, golden(t, "event "+name, b)} {
				if got, err := wire.DecodeEvent(bytes); err != nil || !reflect.DeepEqual(got, e) {
					t.Fatalf("read as %+v, %v; want %+v", got, err, e)
				}
			}
		})
	}
}

func TestWhatIsNoCommandIsAnError(t *testing.T) {
	good, err := wire.EncodeCommand(commands()["create"])
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"nothing": nil, "cut off": good[:len(good)-3], "text": []byte("hello"), "zeros": make([]byte, 100)} {
		if c, err := wire.DecodeCommand(b); err == nil {
			t.Errorf("%s is read as %+v", name, c)
		}
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
		// Whatever it wishes, it can be settled.
		catalog.Settle(catalog.Batch{NextSeq: 1, Commands: []catalog.Command{c}}, catalog.Known{}, moment)
	})
}

func FuzzDecodeEvent(f *testing.F) {
	for _, e := range events() {
		b, _ := wire.EncodeEvent(e)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := wire.DecodeEvent(b); err == nil && e.Kind == "" {
			t.Fatal("an event of no kind")
		}
	})
}

func TestDraftsInJSON(t *testing.T) {
	const good = `{"sku":"A","name":"Chair","price":{"amount":"1.50","currency":"EUR"},"tags":["a"],"attributes":{"k":"v"}}`
	d, err := wire.ParseDraft([]byte(good))
	if err != nil || d.SKU != "A" || d.Price.Amount() != "1.50" || len(d.Tags) != 1 || d.Attributes["k"] != "v" {
		t.Fatalf("ParseDraft = %+v, %v", d, err)
	}
	t.Run("every bad field is named at once", func(t *testing.T) {
		_, err := wire.ParseDraft([]byte(`{"sku":7,"nmae":"x","price":{"amount":1.5,"currency":"EUX"},"tags":["a",2],"attributes":{"k":null,"l":[]}}`))
		var r *catalog.Refusal
		if !errors.As(err, &r) {
			t.Fatal(err)
		}
		var fields []string
		for _, f := range r.Fields {
			fields = append(fields, f.Field)
		}
		for _, want := range []string{"sku", "nmae", "name", "price.amount", "price.currency", "tags[1]", "attributes.l"} {
			if !strings.Contains(fmt.Sprint(fields), want) {
				t.Errorf("%s is not among %v", want, fields)
			}
		}
	})
	t.Run("where JSON breaks is told", func(t *testing.T) {
		_, err := wire.ParseDraft([]byte("{\n  \"name\": x\n}"))
		if err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Fatalf("%v; want the line", err)
		}
	})
}

func TestPatchesInJSON(t *testing.T) {
	p, err := wire.ParsePatch([]byte(`{"sku":null,"description":null,"price":{"amount":"2"},"tags":null,"attributes":{"a":"1","b":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	d := p.Apply(chair())
	if d.SKU != "" || d.Description != "" || d.Name != "Folding chair" || d.Price.Amount() != "2.00" || d.Price.Currency != "EUR" ||
		len(d.Tags) != 0 || d.Attributes["a"] != "1" || d.Attributes["width"] != "45" {
		t.Fatalf("patched to %+v", d)
	}
	if p, err = wire.ParsePatch([]byte(`{"attributes":null}`)); err != nil || len(p.Apply(chair()).Attributes) != 0 {
		t.Fatalf("attributes null leaves %v, %v", p.Apply(chair()).Attributes, err)
	}
}

func FuzzParseBodies(f *testing.F) {
	f.Add([]byte(`{"sku":"A","name":"Chair","price":{"amount":"1.50","currency":"EUR"},"tags":["a"],"attributes":{"k":"v"}}`))
	f.Add([]byte(`{"id":"0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b","attributes":null,"price":{"amount":null}}`))
	f.Add([]byte(`[[[[[[[[[[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func() error{
			func() error { _, err := wire.ParsePatch(b); return err },
			func() error { _, _, err := wire.ParseRow(b); return err },
			func() error {
				d, err := wire.ParseDraft(b)
				if err == nil {
					err = d.Validate()
				}
				return err
			},
		} {
			var r *catalog.Refusal
			if err := parse(); err != nil && (!errors.As(err, &r) || len(r.Fields) == 0) {
				t.Fatalf("an error that names no field: %v", err)
			}
		}
	})
}
