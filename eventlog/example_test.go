package eventlog_test

import (
	"fmt"
	"time"

	"catalog"
	"catalog/eventlog"
)

// A batch holds a command, the same command again, and a command that is refused
// because of the first one.
func ExampleSettle() {
	chair := catalog.ProductData{SKU: "CHA-7", Name: "Chair", Price: catalog.Money{Currency: "EUR"}}
	create := catalog.Command{ID: catalog.DerivedID("1"), Product: catalog.DerivedID("a"), Op: catalog.CreateProduct{Data: chair}}
	other := catalog.Command{ID: catalog.DerivedID("2"), Product: catalog.DerivedID("b"), Op: catalog.CreateProduct{Data: chair}}
	batch := eventlog.Batch{Shard: 5, NextSeq: 1207, Commands: []catalog.Command{create, create, other}}

	events := eventlog.Settle(eventlog.Group{batch}, eventlog.GroupState{}, time.Now())[0].Events
	for _, e := range events {
		fmt.Print(e.Position, " ", e.Outcome)
		if e.Refusal != nil {
			fmt.Print(" ", e.Refusal.Code)
		}
		fmt.Println()
	}
	fmt.Println("products to write:", len(eventlog.LastVersions(events)))
	// Output:
	// 5.1207 created
	// 5.1208 refused sku_taken
	// products to write: 1
}
