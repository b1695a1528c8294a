package catalog_test

import (
	"errors"
	"fmt"
	"time"

	"catalog"
)

func ExampleDecide() {
	now := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	id := catalog.DerivedID("chair")
	price, _ := catalog.ParseDecimal("149.90")
	chair := catalog.ProductData{Name: "Folding chair", Price: catalog.Money{Decimal: price, Currency: "EUR"}}

	// The product does not exist yet: its state is the zero Product with its id.
	created, err := catalog.Decide(catalog.Product{ID: id}, catalog.Command{Product: id, Op: catalog.CreateProduct{Data: chair}}, now)
	fmt.Println(created.Outcome, created.Product.Version, err)

	// A condition that does not hold is a refusal.
	name := "Chair"
	rename := catalog.Command{Product: id, Op: catalog.PatchProduct{Patch: catalog.Patch{Name: &name}}, If: catalog.Condition{Version: 7}}
	_, err = catalog.Decide(created.Product, rename, now)
	fmt.Println(errors.Is(err, catalog.ErrVersion))

	rename.If.Version = 1
	changed, err := catalog.Decide(created.Product, rename, now)
	fmt.Println(changed.Outcome, changed.Product.Version, changed.Product.Name, err)
	// Output:
	// created 1 <nil>
	// true
	// changed 2 Chair <nil>
}

func ExampleParseDecimal() {
	for _, s := range []string{"149.90", "0.000000001", "1e3", "1,50"} {
		d, err := catalog.ParseDecimal(s)
		fmt.Println(d, err)
	}
	// Output:
	// 149.9 <nil>
	// 0.000000001 <nil>
	// 0 must be a decimal number in a string, such as "149.90"
	// 0 must be a decimal number in a string, such as "149.90"
}

func ExampleMoney_Amount() {
	d, _ := catalog.ParseDecimal("265")
	for _, currency := range []string{"EUR", "JPY", "KWD"} {
		fmt.Println(catalog.Money{Decimal: d, Currency: currency}.Amount(), currency)
	}
	// Output:
	// 265.00 EUR
	// 265 JPY
	// 265.000 KWD
}

func ExampleProduct_LowestPrior() {
	id := catalog.DerivedID("chair")
	p := catalog.Product{ID: id}
	began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i, units := range []int64{100, 150, 90} { // one price every ten days
		price := catalog.Money{Decimal: catalog.Decimal{Units: units}, Currency: "EUR"}
		put := catalog.Command{Product: id, Op: catalog.PutProduct{Data: catalog.ProductData{Name: "Chair", Price: price}}}
		e, _ := catalog.Decide(p, put, began.AddDate(0, 0, 10*i))
		p = e.Product
	}
	lowest, ok := p.LowestPrior(catalog.BeforeLastReduction)
	fmt.Println(p.Price.Amount(), "now, before that", lowest.Amount(), ok)
	// Output: 90.00 now, before that 100.00 true
}

func ExamplePatch_Apply() {
	brand, width := "Carl Hansen", "45"
	patch := catalog.Patch{Brand: &brand, Attributes: map[string]*string{"width": &width, "colour": nil}}
	before := catalog.ProductData{Name: "Chair", Attributes: map[string]string{"colour": "black"}}
	for _, c := range catalog.Diff(before, patch.Apply(before)) {
		fmt.Printf("%s: %q to %q\n", c.Field, c.From, c.To)
	}
	// Output:
	// brand: "" to "Carl Hansen"
	// attributes.colour: "black" to ""
	// attributes.width: "" to "45"
}

func ExampleField_Check() {
	fmt.Println(catalog.FieldByName("gtin").Check("4006381333932"))
	// Output: has the check digit 2, but 400638133393 needs 1; compare the number with the barcode
}
