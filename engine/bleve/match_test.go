package bleve

import (
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
)

func TestMatches_top(t *testing.T) {
	all := roaring.New()
	all.AddRange(0, 100_000)
	deleted := roaring.BitmapOf(7, 50_000)
	m := matches{
		products: roaring.AndNot(all, deleted),
		words:    [][]weightedSet{{{10, all}, {64, roaring.BitmapOf(7, 90_000)}}, {{24, roaring.BitmapOf(5, 80_000, 90_000)}}},
		exact:    []weightedSet{{200, roaring.BitmapOf(99_999)}},
	}
	t.Run("the sets of the highest weights come first", func(t *testing.T) {
		top := m.top(1_000)
		if n := top.products.GetCardinality(); n != 1_000 {
			t.Fatalf("top(1000) has %d products; want 1000", n)
		}
		scores := make([]uint32, 100_000)
		top.addScores(scores)
		for product, want := range map[uint32]uint32{99_999: 210, 90_000: 98, 80_000: 34, 5: 34, 6: 10, 7: 0, 50_000: 0} {
			if scores[product] != want || top.products.Contains(product) != (want > 0) {
				t.Errorf("score of product %d = %d; want %d", product, scores[product], want)
			}
		}
	})
	t.Run("few products are all kept", func(t *testing.T) {
		if got := m.top(100_000); !got.products.Equals(m.products) {
			t.Errorf("top(100000) has %d products; want all %d", got.products.GetCardinality(), m.products.GetCardinality())
		}
	})
}
