package catalog_test

import (
	"testing"

	"catalog"
)

func TestProductData_WordCount(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, " -- ": 0, "Green chair, of oak": 4, "GreenBox": 2, "RÅSKOG Straße": 2, "iphone13": 2, "aBcD": 3, "木の椅子 x": 5, "🪑🪑": 2,
	} {
		if got := (&catalog.ProductData{Description: text}).WordCount(); got != want {
			t.Errorf("WordCount of %q is %d; want %d", text, got, want)
		}
	}
	d := catalog.ProductData{Name: "a", Tags: []string{"b c", "d"}, Attributes: map[string]string{"ignored": "e"}}
	if got := d.WordCount(); got != 5 {
		t.Errorf("WordCount is %d; want the words of all fields, 5", got)
	}
}
