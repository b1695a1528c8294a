package catalog_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catalog"
)

func id(t testing.TB, s string) catalog.ID {
	t.Helper()
	id, err := catalog.ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// ids draws any id but the nil UUID.
func ids() *rapid.Generator[catalog.ID] {
	return rapid.Custom(func(t *rapid.T) catalog.ID {
		return catalog.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	}).Filter(func(id catalog.ID) bool { return id != catalog.ID{} })
}

func TestID(t *testing.T) {
	t.Run("the text of an id parses to the same id, in upper and lower case", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			id := ids().Draw(t, "id")
			for _, s := range []string{id.String(), strings.ToUpper(id.String())} {
				if got, err := catalog.ParseID(s); err != nil || got != id {
					t.Fatalf("ParseID(%q) = %v, %v; want %v", s, got, err, id)
				}
			}
		})
	})
	t.Run("the text has the usual form", func(t *testing.T) {
		got := catalog.ID{0x01, 0x91, 0xe4, 0xa0, 0x7c, 0x1e, 0x7d, 0x5a, 0x8f, 0x6b, 0x3c, 0x2d, 0x1e, 0x0f, 0x9a, 0x8b}.String()
		if want := "0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"; got != want {
			t.Fatalf("String = %q, want %q", got, want)
		}
	})
	for name, s := range map[string]string{
		"an empty text":   "",
		"the nil UUID":    "00000000-0000-0000-0000-000000000000",
		"no hyphens":      "0191e4a07c1e7d5a8f6b3c2d1e0f9a8b",
		"braces":          "{0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b}",
		"misplaced":       "0191e4a07-c1e-7d5a-8f6b-3c2d1e0f9a8b",
		"a letter":        "0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8g",
		"too short":       "0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8",
		"too long":        "0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b0",
		"a space":         "0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8 ",
		"no ASCII digits": "٠191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8",
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			if id, err := catalog.ParseID(s); err == nil || id != (catalog.ID{}) {
				t.Fatalf("ParseID(%q) = %v, %v; want an error", s, id, err)
			}
		})
	}
}

func TestDerivedID(t *testing.T) {
	t.Run("the result never changes", func(t *testing.T) {
		got := catalog.DerivedID("key", "POST", "/api/v1/products", "order 7").String()
		if want := "fe42d1db-ef0c-81ec-a17a-baec8e9972fa"; got != want {
			t.Fatalf("DerivedID = %s, want %s", got, want)
		}
	})
	t.Run("the id is a UUID of version 8", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			s := catalog.DerivedID(rapid.SliceOf(rapid.String()).Draw(t, "parts")...).String()
			if s[14] != '8' || !strings.ContainsRune("89ab", rune(s[19])) {
				t.Fatalf("%s is not of version 8", s)
			}
		})
	})
	t.Run("other parts give another id, even if their concatenation is the same", func(t *testing.T) {
		seen := map[catalog.ID][]string{}
		for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"1:a"}, {"1", "a"}, {"b", "a"}} {
			id := catalog.DerivedID(parts...)
			if other, ok := seen[id]; ok {
				t.Errorf("%q and %q have the same id", parts, other)
			}
			seen[id] = parts
		}
	})
}

func TestShard(t *testing.T) {
	t.Run("the result never changes", func(t *testing.T) {
		// The commands, events and rows of existing products are in these shards.
		for s, want := range map[string][3]int32{
			"0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b": {3, 11, 603},
			"00000000-0000-0000-0000-000000000001": {2, 50, 10},
			"ffffffff-ffff-ffff-ffff-ffffffffffff": {5, 21, 133},
			"019ab1f2-0000-7000-8000-000000000000": {1, 1, 377},
		} {
			id := id(t, s)
			if got := [3]int32{catalog.Shard(id, 8), catalog.Shard(id, 64), catalog.Shard(id, 1000)}; got != want {
				t.Errorf("Shard(%s) of 8, 64 and 1000 = %v, want %v", s, got, want)
			}
		}
	})
	t.Run("the shard is in range", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(1, 10_000).Draw(t, "shards")
			if s := catalog.Shard(ids().Draw(t, "id"), n); s < 0 || int(s) >= n {
				t.Fatalf("Shard = %d of %d", s, n)
			}
		})
	})
	t.Run("consecutive ids are spread over all shards", func(t *testing.T) {
		var count [64]int
		next := id(t, "019ab1f2-0000-7000-8000-000000000000")
		for i := range 64_000 {
			next[14], next[15] = byte(i>>8), byte(i)
			next[5] = byte(i >> 4) // the timestamp
			count[catalog.Shard(next, len(count))]++
		}
		for s, n := range count {
			if n < 800 || n > 1200 {
				t.Errorf("shard %d has %d of 64000 products, want about 1000", s, n)
			}
		}
	})
}

func TestPosition(t *testing.T) {
	t.Run("the text of a position parses to the same position", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p := catalog.Position{
				Shard: rapid.Int32Range(0, 1<<31-1).Draw(t, "shard"),
				Seq:   rapid.Int64Range(0, 1<<63-1).Draw(t, "seq"),
			}
			if got, err := catalog.ParsePosition(p.String()); err != nil || got != p {
				t.Fatalf("ParsePosition(%q) = %v, %v", p, got, err)
			}
		})
	})
	t.Run("an empty text is the zero position", func(t *testing.T) {
		if p, err := catalog.ParsePosition(""); err != nil || p != (catalog.Position{}) {
			t.Fatalf("ParsePosition = %v, %v", p, err)
		}
	})
	for _, s := range []string{
		".", "5", "5.", ".5", "5.-1", "-5.1", "+5.1", "5.+1", " 5.1", "5.1 ", "5.1.2", "5,1", "a.1", "5.b", "1e3.1", "0x5.1", "5_0.1",
		"2147483648.1", "5.9223372036854775808", "٥.1",
	} {
		t.Run(s+" is refused", func(t *testing.T) {
			if p, err := catalog.ParsePosition(s); err == nil || p != (catalog.Position{}) {
				t.Fatalf("ParsePosition(%q) = %v, %v; want an error", s, p, err)
			}
		})
	}
}
