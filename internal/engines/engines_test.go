package engines_test

import (
	"context"
	"slices"
	"testing"

	"catalog/internal/engines"
)

func TestSet(t *testing.T) {
	t.Run("Close closes in reverse order, and once", func(t *testing.T) {
		var s engines.Set
		var closed []string
		for _, name := range []string{"folder", "log", "store"} {
			s.OnClose(func() { closed = append(closed, name) })
		}
		s.Close()
		s.Close()
		if want := []string{"store", "log", "folder"}; !slices.Equal(closed, want) {
			t.Fatalf("Close closed %v; want %v", closed, want)
		}
	})
	t.Run("Checks returns the checks in the order of opening", func(t *testing.T) {
		var s engines.Set
		ping := func(context.Context) error { return nil }
		s.AddCheck("kafka", ping)
		s.AddCheck("postgres", ping)
		if c := s.Checks(); len(c) != 2 || c[0].Name != "kafka" || c[1].Name != "postgres" {
			t.Fatalf("Checks = %v; want kafka, postgres", c)
		}
	})
}
