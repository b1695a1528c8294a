package enginetest

import (
	"time"

	"catalog"
)

// moment is the time of all commands and events of the suites, unless a test
// sets another one.
var moment = time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)

// product returns the id that belongs to a name.
func product(name string) catalog.ID { return catalog.DerivedID("product", name) }

// command returns a command on the product with the name on. Its id belongs to
// its own name.
func command(name, on string, op catalog.Operation) catalog.Command {
	return catalog.Command{
		ID: catalog.DerivedID("command", name), Product: product(on), Op: op,
		Actor: "tester", Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		AcceptedAt: moment.Add(-time.Second),
	}
}

// data returns valid data of a product with the SKU.
func data(sku string) catalog.ProductData {
	return catalog.ProductData{SKU: sku, Name: "Chair", Price: price(149, 900_000_000, "EUR")}
}

func price(units int64, nanos int32, currency string) catalog.Money {
	return catalog.Money{Decimal: catalog.Decimal{Units: units, Nanos: nanos}, Currency: currency}
}

// rename returns an operation that changes the name only.
func rename(name string) catalog.PatchProduct {
	return catalog.PatchProduct{Patch: catalog.Patch{Name: &name}}
}

// giveSKU returns an operation that changes the SKU only.
func giveSKU(sku string) catalog.PatchProduct {
	return catalog.PatchProduct{Patch: catalog.Patch{SKU: &sku}}
}

// at returns the product of that name at a version. From version 2 on it has
// past prices.
func at(name string, version int64, d catalog.ProductData) catalog.Product {
	p := catalog.Product{ID: product(name), ProductData: d, Version: version, CreatedAt: moment, UpdatedAt: moment.Add(time.Duration(version) * time.Microsecond)}
	if version > 1 {
		p.PastPrices = []catalog.PastPrice{{Money: price(999_999_999_999_999, 990_000_000, "EUR"), Until: moment}, {Money: price(0, 1_000_000, "KWD"), Until: p.UpdatedAt}}
	}
	return p
}

// tombstone returns the deleted product of that name at a version. It keeps its past
// prices.
func tombstone(name string, version int64) catalog.Product {
	p := at(name, version, catalog.ProductData{})
	p.Deleted = true
	return p
}
