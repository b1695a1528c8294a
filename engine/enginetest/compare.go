package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"pgregory.net/rapid"

	"catalog"
	"catalog/internal/wire"
)

// equal reports whether two products have the same fields.
func equal(a, b catalog.Product) bool { return a.Equal(b) }

// differences lists the fields in which two values of one struct type differ,
// as "Name = …; want …". Each value is cut to 80 characters.
func differences(got, want any) string {
	short := func(v any) string {
		s := []rune(fmt.Sprintf("%+v", v))
		if len(s) > 80 {
			return fmt.Sprintf("%s… (%d characters)", string(s[:80]), len(s))
		}
		return string(s)
	}
	var list []string
	var walk func(path string, g, w reflect.Value)
	walk = func(path string, g, w reflect.Value) {
		if g.Kind() == reflect.Struct && g.NumField() > 0 && g.Type().Field(0).IsExported() {
			for i := range g.NumField() {
				walk(path+"."+g.Type().Field(i).Name, g.Field(i), w.Field(i))
			}
			return
		}
		if t, ok := g.Interface().(time.Time); ok && t.Equal(w.Interface().(time.Time)) {
			return
		}
		if !reflect.DeepEqual(g.Interface(), w.Interface()) && !(sizeIsZero(g) && sizeIsZero(w)) {
			list = append(list, fmt.Sprintf("%s = %s; want %s", strings.TrimPrefix(path, "."), short(g.Interface()), short(w.Interface())))
		}
	}
	walk("", reflect.ValueOf(got), reflect.ValueOf(want))
	return strings.Join(list, "\n")
}

// sizeIsZero reports whether v is a list or map without elements.
func sizeIsZero(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

// sameFields fails the test when got and want differ, and prints the fields that
// differ. what is the name of the call that returned got.
func sameFields(t rapid.TB, what string, got, want catalog.Product) {
	t.Helper()
	if d := differences(got, want); d != "" || !equal(got, want) {
		t.Fatalf("%s returned product %s with other fields:\n%s", what, want.ID, d)
	}
}

// sameEvents fails the test when got and want differ in their number or in a
// byte of their encoding. It prints the differences of the first such event.
func sameEvents(t rapid.TB, what string, got, want []catalog.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d events; want %d", what, len(got), len(want))
	}
	for i := range got {
		g, err1 := wire.EncodeEvent(got[i])
		w, err2 := wire.EncodeEvent(want[i])
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(g, w) {
			t.Fatalf("%s: event %d of %d differs:\n%s", what, i+1, len(got), differences(got[i], want[i]))
		}
	}
}
