package bleve

import (
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
)

func TestTheBestAreThoseInTheBestSets(t *testing.T) {
	all := roaring.New()
	all.AddRange(0, 100_000)
	gone := roaring.BitmapOf(7, 50_000)
	m := matches{
		products: roaring.AndNot(all, gone),
		words:    [][]worth{{{10, all}, {64, roaring.BitmapOf(7, 90_000)}}, {{24, roaring.BitmapOf(5, 80_000, 90_000)}}},
		whole:    []worth{{200, roaring.BitmapOf(99_999)}},
	}
	best := m.best(1_000)
	if n := best.products.GetCardinality(); n != 1_000 {
		t.Fatalf("of 100,000 products the best 1,000 are %d", n)
	}
	scores := make([]uint32, 100_000)
	best.scores(scores)
	for product, want := range map[uint32]uint32{99_999: 210, 90_000: 98, 80_000: 34, 5: 34, 6: 10, 7: 0, 50_000: 0} {
		if scores[product] != want || best.products.Contains(product) != (want > 0) {
			t.Errorf("product %d has the score %d, want %d", product, scores[product], want)
		}
	}
	if few := m.best(100_000); !few.products.Equals(m.products) {
		t.Error("of products that are few enough some are left out")
	}
}
