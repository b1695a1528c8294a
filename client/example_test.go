package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"catalog"
	"catalog/api"
	"catalog/client"
)

// Write a product and read it back. The read sees the write, although reads come
// from another store.
func Example() {
	ctx := context.Background()
	c := client.New("http://127.0.0.1:8080")
	price, err := catalog.ParseDecimal("149.90")
	if err != nil {
		log.Fatal(err)
	}
	chair := catalog.ProductData{SKU: "CHA-7", Name: "Folding chair", Price: catalog.Money{Decimal: price, Currency: "EUR"}}
	written, err := c.Create(ctx, chair)
	if err != nil {
		log.Fatal(err)
	}
	p, err := c.Product(ctx, written.Product.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Name, p.Version)
}

// Change a product only if it is still at the version that was read.
func ExampleClient_Patch() {
	ctx := context.Background()
	c := client.New("http://127.0.0.1:8080")
	p, err := c.Product(ctx, catalog.DerivedID("chair"))
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Patch(ctx, p.ID, []byte(`{"description":"Beech"}`), p.Version)
	if errors.Is(err, catalog.ErrVersion) {
		fmt.Println("the product has changed; read it again")
	}
}

// List the products of a brand that match a text.
func ExampleClient_Search() {
	c := client.New("http://127.0.0.1:8080")
	page, err := c.Search(context.Background(), catalog.Query{Text: "chair", Brand: "Nordlys", Limit: 10})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range page.Items {
		fmt.Println(p.SKU, p.Name)
	}
}

// Import a file of a supplier and print what was refused, while the rest is sent.
func ExampleClient_ImportFile() {
	ctx := context.Background()
	c := client.New("http://127.0.0.1:8080")
	file, err := os.Open("prices.csv")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	options := api.ImportProductsParams{Map: "sku=Artikel,name=Bezeichnung,price=Preis", Currency: "EUR"}
	for row, err := range c.ImportFile(ctx, file, client.CSV, options) {
		if err != nil {
			log.Fatal(err) // the rows behind the last result may not be imported; import the file again
		}
		if row.Outcome == api.ImportResultOutcomeRefused {
			fmt.Println(row.Line, (&client.Problem{Problem: row.Problem}).Error())
		}
	}
}

// Follow the changes of a category. Keep the id of the last change to resume
// after a restart.
func ExampleClient_Changes() {
	c := client.New("http://127.0.0.1:8080")
	last := "0" // from the beginning
	for change, err := range c.Changes(context.Background(), client.Watch{Category: "Furniture", After: last}) {
		if err != nil {
			log.Fatalf("after change %s: %v", last, err)
		}
		last = change.ID
		fmt.Println(change.Kind, change.Product.ID, change.Product.Version)
	}
}
