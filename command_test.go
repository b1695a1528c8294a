package catalog_test

import (
	"encoding/hex"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"catalog"
)

func TestFingerprint(t *testing.T) {
	command := func(op catalog.Operation, only catalog.Condition) catalog.Command {
		return catalog.Command{Product: id(t, "0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"), Op: op, If: only}
	}
	t.Run("the result never changes", func(t *testing.T) {
		// The journal has these fingerprints and compares repeated requests with them.
		branded := chair()
		branded.Brand, branded.GTIN = "Carl Hansen", "4006381333931"
		for _, c := range []struct {
			command catalog.Command
			want    string
		}{
			{command(catalog.CreateProduct{Data: chair()}, catalog.Condition{}), "662aef2a4026b50f9a35fbe8760c290754b50c7e9355dfecc9311da6d4b4f948"},
			{command(catalog.PutProduct{Data: chair()}, catalog.Condition{Absent: true}), "adbc478569f56f6218b3318aa0aff420dca05d78e7a673cb5429e89bc839129e"},
			{command(catalog.PatchProduct{}, catalog.Condition{Exists: true}), "60bca61e40caa0cc62171a326d7d5ad014533455085249b2d670baa5c58ba9f1"},
			{command(catalog.PatchProduct{Patch: everything(), Create: true}, catalog.Condition{}), "cc8345f25136a430dd915918bd693fb36e0db1d537e27cda75f0513e99e49a5e"},
			{command(catalog.DeleteProduct{}, catalog.Condition{Version: 7}), "d8189c544b9c84cba0814aa2c18eed3a116984d0e78d9b905366783a31a0c2f3"},
			{command(catalog.CreateProduct{Data: branded}, catalog.Condition{}), "d43bbfb080da2079a9ecf337fcf91943f4bd85decf796cd43e376946536679b4"},
			{command(catalog.PatchProduct{Patch: catalog.Patch{Brand: ptr("Carl Hansen"), GTIN: ptr("")}}, catalog.Condition{}), "d92dca2e8881dc9228797bc7776f81736cba5edd04bfb427285a7fba6a49b487"},
			{command(catalog.VoidPrice{Price: catalog.Money{Decimal: catalog.Decimal{Units: 1}, Currency: "EUR"}, Reason: "typing error"}, catalog.Condition{}), "2d775bac4db23d44bb23ef6814193091db41a5128afcfc1bfa6d5dcf62348160"},
			{command(nil, catalog.Condition{}), "38f053357dfd2148b795d4a41c2307b8d71f4f027d491534f91d4565116d7d68"},
		} {
			f := c.command.Fingerprint()
			if got := hex.EncodeToString(f[:]); got != c.want {
				t.Errorf("Fingerprint of %T = %s, want %s", c.command.Op, got, c.want)
			}
		}
	})
	t.Run("id, actor, trace and time make no difference", func(t *testing.T) {
		a := command(catalog.PutProduct{Data: chair()}, catalog.Condition{Version: 1})
		b := a
		b.ID, b.Actor, b.Trace, b.AcceptedAt = name("other"), "maria", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", now
		if a.Fingerprint() != b.Fingerprint() {
			t.Fatal("the fingerprints differ")
		}
	})
	t.Run("an empty and an absent list or map make no difference in product data", func(t *testing.T) {
		a := command(catalog.PutProduct{Data: catalog.ProductData{Name: "x"}}, catalog.Condition{})
		b := command(catalog.PutProduct{Data: catalog.ProductData{Name: "x", Tags: []string{}, Attributes: map[string]string{}}}, catalog.Condition{})
		if a.Fingerprint() != b.Fingerprint() {
			t.Fatal("the fingerprints differ")
		}
	})
	t.Run("every other difference counts", func(t *testing.T) {
		commands := map[string]catalog.Command{
			"create": command(catalog.CreateProduct{Data: chair()}, catalog.Condition{}),
			"put":    command(catalog.PutProduct{Data: chair()}, catalog.Condition{}),
			"delete": command(catalog.DeleteProduct{}, catalog.Condition{}),
			"none":   command(nil, catalog.Condition{}),

			"void price":     command(catalog.VoidPrice{Price: catalog.Money{Decimal: catalog.Decimal{Units: 1}, Currency: "EUR"}, Reason: "x"}, catalog.Condition{}),
			"void currency":  command(catalog.VoidPrice{Price: catalog.Money{Decimal: catalog.Decimal{Units: 1}, Currency: "USD"}, Reason: "x"}, catalog.Condition{}),
			"void amount":    command(catalog.VoidPrice{Price: catalog.Money{Decimal: catalog.Decimal{Units: 2}, Currency: "EUR"}, Reason: "x"}, catalog.Condition{}),
			"another reason": command(catalog.VoidPrice{Price: catalog.Money{Decimal: catalog.Decimal{Units: 1}, Currency: "EUR"}, Reason: "y"}, catalog.Condition{}),

			"if version 1": command(catalog.PutProduct{Data: chair()}, catalog.Condition{Version: 1}),
			"if version 2": command(catalog.PutProduct{Data: chair()}, catalog.Condition{Version: 2}),
			"if 1 or 2":    command(catalog.PutProduct{Data: chair()}, catalog.Condition{Version: 1, OrVersions: []int64{2}}),
			"if 1, 2 or 3": command(catalog.PutProduct{Data: chair()}, catalog.Condition{Version: 1, OrVersions: []int64{2, 3}}),
			"if exists":    command(catalog.PutProduct{Data: chair()}, catalog.Condition{Exists: true}),
			"if absent":    command(catalog.PutProduct{Data: chair()}, catalog.Condition{Absent: true}),

			"patch nothing":         command(catalog.PatchProduct{}, catalog.Condition{}),
			"patch nothing or make": command(catalog.PatchProduct{Create: true}, catalog.Condition{}),
			"patch everything":      command(catalog.PatchProduct{Patch: everything()}, catalog.Condition{}),
		}
		other := commands["put"]
		other.Product = name("other")
		commands["another product"] = other
		for name, change := range differences() {
			d := chair()
			change(&d)
			commands["put with other "+name] = command(catalog.PutProduct{Data: d}, catalog.Condition{})
		}
		for name, change := range patchDifferences() {
			p := everything()
			change(&p)
			commands["patch with other "+name] = command(catalog.PatchProduct{Patch: p}, catalog.Condition{})
		}
		seen := map[[32]byte]string{}
		for name, c := range commands {
			f := c.Fingerprint()
			if other, ok := seen[f]; ok {
				t.Errorf("%s and %s have the same fingerprint", name, other)
			}
			seen[f] = name
		}
	})
	t.Run("two patches have the same fingerprint exactly if they make the same changes", func(t *testing.T) {
		same := func(p, q catalog.Patch) bool {
			tags := func(p catalog.Patch) []string {
				if p.Tags == nil {
					return nil
				}
				return append([]string{}, *p.Tags...)
			}
			if !reflect.DeepEqual(tags(p), tags(q)) || !maps.EqualFunc(p.Attributes, q.Attributes, func(a, b *string) bool { return reflect.DeepEqual(a, b) }) {
				return false
			}
			p.Tags, q.Tags, p.Attributes, q.Attributes = nil, nil, nil, nil
			return reflect.DeepEqual(p, q)
		}
		changes := slices.Sorted(maps.Keys(patchDifferences()))
		rapid.Check(t, func(t *rapid.T) {
			p, q := everything(), everything()
			for _, side := range []*catalog.Patch{&p, &q} {
				for _, c := range rapid.SliceOfN(rapid.SampledFrom(changes), 0, 3).Draw(t, "changes") {
					patchDifferences()[c](side)
				}
			}
			a, b := command(catalog.PatchProduct{Patch: p}, catalog.Condition{}), command(catalog.PatchProduct{Patch: q}, catalog.Condition{})
			if got, want := a.Fingerprint() == b.Fingerprint(), same(p, q); got != want {
				t.Fatalf("same fingerprint = %t; want %t", got, want)
			}
		})
	})
	t.Run("every field is covered here", func(t *testing.T) {
		// A new field must be in the fingerprint, unless it states the origin or the time.
		for typ, want := range map[reflect.Type]int{
			reflect.TypeFor[catalog.Command](): 7, reflect.TypeFor[catalog.Condition](): 4,
			reflect.TypeFor[catalog.CreateProduct](): 1, reflect.TypeFor[catalog.PutProduct](): 1,
			reflect.TypeFor[catalog.PatchProduct](): 2, reflect.TypeFor[catalog.DeleteProduct](): 0,
			reflect.TypeFor[catalog.VoidPrice](): 2,
		} {
			if got := typ.NumField(); got != want {
				t.Errorf("%s has %d fields, not %d: add a difference for the new field above, then correct this number", typ, got, want)
			}
		}
	})
}

// everything returns a patch of the fields that have a fixed place in the
// fingerprint.
func everything() catalog.Patch {
	return catalog.Patch{
		SKU: ptr("CH-1"), Name: ptr("Chair"), Description: ptr("Oak."), Currency: ptr("EUR"), Category: ptr("Furniture"),
		Amount: &catalog.Decimal{Units: 149, Nanos: 900_000_000}, Tags: &[]string{"oak", "new"},
		Attributes: map[string]*string{"width": ptr("45"), "designer": ptr(""), "depth": nil},
	}
}

// patchDifferences returns changes of the patch everything, each of one field. They
// can be combined.
func patchDifferences() map[string]func(*catalog.Patch) {
	return map[string]func(*catalog.Patch){
		"no sku":         func(p *catalog.Patch) { p.SKU = nil },
		"empty sku":      func(p *catalog.Patch) { p.SKU = ptr("") },
		"no name":        func(p *catalog.Patch) { p.Name = nil },
		"name":           func(p *catalog.Patch) { p.Name = ptr("Lamp") },
		"brand":          func(p *catalog.Patch) { p.Brand = ptr("Oak") },
		"empty brand":    func(p *catalog.Patch) { p.Brand = ptr("") },
		"gtin":           func(p *catalog.Patch) { p.GTIN = ptr("Oak") },
		"no description": func(p *catalog.Patch) { p.Description = nil },
		"description":    func(p *catalog.Patch) { p.Description = ptr("oak.") },
		"no currency":    func(p *catalog.Patch) { p.Currency = nil },
		"currency":       func(p *catalog.Patch) { p.Currency = ptr("USD") },
		"no category":    func(p *catalog.Patch) { p.Category = nil },
		"category":       func(p *catalog.Patch) { p.Category = ptr("furniture") },
		"no amount":      func(p *catalog.Patch) { p.Amount = nil },
		"zero":           func(p *catalog.Patch) { p.Amount = &catalog.Decimal{} },
		"units":          func(p *catalog.Patch) { p.Amount = &catalog.Decimal{Units: 150, Nanos: 900_000_000} },
		"nanos":          func(p *catalog.Patch) { p.Amount = &catalog.Decimal{Units: 149, Nanos: 900_000_001} },
		"no tags":        func(p *catalog.Patch) { p.Tags = nil },
		"empty tags":     func(p *catalog.Patch) { p.Tags = &[]string{} },
		"order of tags":  func(p *catalog.Patch) { p.Tags = &[]string{"new", "oak"} },
		"joined tags":    func(p *catalog.Patch) { p.Tags = &[]string{"oaknew"} },
		"clearing":       func(p *catalog.Patch) { p.ClearAttributes = true },
		"no attributes":  func(p *catalog.Patch) { p.Attributes = nil },
		"value":          func(p *catalog.Patch) { p.Attributes = with(p.Attributes, "width", ptr("46")) },
		"removal":        func(p *catalog.Patch) { p.Attributes = with(p.Attributes, "width", nil) },
		"empty for none": func(p *catalog.Patch) { p.Attributes = with(p.Attributes, "depth", ptr("")) },
		"one more":       func(p *catalog.Patch) { p.Attributes = with(p.Attributes, "height", ptr("80")) },
		"one more to go": func(p *catalog.Patch) { p.Attributes = with(p.Attributes, "height", nil) },
		"key and a value": func(p *catalog.Patch) {
			p.Attributes = map[string]*string{"width": ptr(""), "designer": ptr("45"), "depth": nil}
		},
	}
}

func with(m map[string]*string, key string, value *string) map[string]*string {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]*string{}
	}
	m[key] = value
	return m
}
