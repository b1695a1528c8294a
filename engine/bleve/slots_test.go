package bleve

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

func TestSlots(t *testing.T) {
	// wait starts a search that appends its name when it gets a slot.
	wait := func(ctx context.Context, s *slots, kind int, name string, order *[]string) {
		go func() {
			if s.acquire(ctx, kind) == nil {
				*order = append(*order, name)
			}
		}()
		synctest.Wait()
	}
	// drain releases slots until no search waits.
	drain := func(s *slots, n int) {
		for range n {
			s.release()
			synctest.Wait()
		}
	}
	t.Run("kinds take turns, and each kind keeps its order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &slots{}
			var order []string
			for _, name := range []string{"suggest 1", "suggest 2", "suggest 3"} {
				wait(t.Context(), s, suggestSlot, name, &order)
			}
			for _, name := range []string{"search 1", "search 2"} {
				wait(t.Context(), s, searchSlot, name, &order)
			}
			wait(t.Context(), s, lookUpSlot, "look-up", &order)
			drain(s, 6)
			want := []string{"look-up", "suggest 1", "search 1", "suggest 2", "search 2", "suggest 3"}
			if !slices.Equal(order, want) {
				t.Errorf("the order is %q; want %q", order, want)
			}
		})
	})
	t.Run("a search that gives up passes its slot on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &slots{}
			var order []string
			ctx, cancel := context.WithCancel(t.Context())
			wait(ctx, s, searchSlot, "gives up", &order)
			wait(t.Context(), s, searchSlot, "stays", &order)
			cancel()
			synctest.Wait()
			drain(s, 1)
			if want := []string{"stays"}; !slices.Equal(order, want) {
				t.Errorf("the order is %q; want %q", order, want)
			}
			drain(s, 1)
			if s.free != 1 {
				t.Errorf("%d slots are free; want 1", s.free)
			}
		})
	})
	t.Run("a context that has ended gets no slot of a full queue", func(t *testing.T) {
		s := &slots{}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.acquire(ctx, searchSlot); !errors.Is(err, context.Canceled) {
			t.Errorf("acquire = %v; want context.Canceled", err)
		}
	})
}
