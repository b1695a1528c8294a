package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"catalog/api"
	"catalog/client"
)

// demo imports n made-up but plausible products. Product i is always the same, so a
// second demo changes nothing.
func demo(ctx context.Context, c *client.Client, n int, out io.Writer) error {
	since := time.Now()
	bar := newProgress(os.Stderr, "demo", n)
	var next, created atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, inFlight)
	for range inFlight {
		wg.Go(func() {
			for {
				to := int(next.Add(batchRows))
				from := to - batchRows
				if from >= n || ctx.Err() != nil {
					return
				}
				var lines bytes.Buffer
				e := json.NewEncoder(&lines)
				for i := from; i < min(to, n); i++ {
					_ = e.Encode(demoProduct(i)) // encoding strings cannot fail
				}
				results, err := c.Import(ctx, lines.Bytes())
				if err != nil {
					errs <- err
					return
				}
				for _, r := range results {
					if r.Outcome == api.ImportResultOutcomeCreated {
						created.Add(1)
					}
				}
				bar.add(len(results))
			}
		})
	}
	wg.Wait()
	bar.done()
	close(errs)
	if err := <-errs; err != nil {
		return err
	}
	took := time.Since(since)
	fmt.Fprintf(out, "demo: %d products, %d of them new, in %.1f s (%.0f/s)\n", n, created.Load(), took.Seconds(), float64(n)/took.Seconds())
	return ctx.Err()
}

// Parts of demo products. The lengths of these lists have no common factor, so that
// consecutive products differ in every part.
var (
	demoThings = []struct{ name, category string }{
		{"Dining table", "Furniture/Tables"}, {"Coffee table", "Furniture/Tables"}, {"Desk", "Furniture/Tables/Desks"},
		{"Dining chair", "Furniture/Chairs"}, {"Armchair", "Furniture/Chairs/Armchairs"}, {"Bar stool", "Furniture/Chairs/Stools"},
		{"Sofa", "Furniture/Sofas"}, {"Corner sofa", "Furniture/Sofas"}, {"Bed frame", "Furniture/Beds"}, {"Bunk bed", "Furniture/Beds"},
		{"Wardrobe", "Furniture/Storage/Wardrobes"}, {"Bookcase", "Furniture/Storage/Bookcases"}, {"Chest of drawers", "Furniture/Storage"},
		{"Floor lamp", "Lighting/Lamps"}, {"Pendant lamp", "Lighting/Lamps"}, {"Desk lamp", "Lighting/Lamps"},
		{"Rug", "Textiles/Rugs"}, {"Curtain", "Textiles/Curtains"}, {"Cushion cover", "Textiles/Cushions"}, {"Blanket", "Textiles/Blankets"},
		{"Saucepan", "Kitchen/Cookware"}, {"Frying pan", "Kitchen/Cookware"}, {"Chef's knife", "Kitchen/Knives"}, {"Teapot", "Kitchen/Tableware"},
		{"Dinner plate", "Kitchen/Tableware"}, {"Drinking glass", "Kitchen/Tableware"}, {"Mirror", "Decoration/Mirrors"}, {"Vase", "Decoration/Vases"},
		{"Plant pot", "Garden/Pots"}, {"Garden bench", "Garden/Furniture"}, {"Parasol", "Garden/Shade"},
	}
	demoMaterials = []string{"oak", "beech", "walnut", "birch", "ash", "pine", "bamboo", "steel", "brass", "linen", "wool", "cotton", "glass", "stoneware", "marble", "leather", "rattan"}
	demoColours   = []string{"natural", "black", "white", "grey", "anthracite", "sand", "olive", "rust", "navy", "mustard", "rose", "teal", "cream"}
	demoSeries    = []string{"Alba", "Borealis", "Cala", "Dune", "Ember", "Fjord", "Grove", "Haven", "Isla", "Juniper", "Kestrel", "Lumen", "Mistral", "Nordlys", "Ombra", "Piko", "Quill", "Runa", "Solea", "Tarn", "Umbra", "Vela", "Willow"}
	demoPraise    = []string{"Made to be used every day.", "Easy to clean and hard to wear out.", "Packed flat; no tools needed.", "From well-managed forests.", "Designed to be repaired, with spare parts for ten years.", "A quiet piece that goes with everything.", "Small enough for a narrow hall."}
)

func demoProduct(i int) map[string]any {
	thing := demoThings[i%len(demoThings)]
	material, colour := demoMaterials[i%len(demoMaterials)], demoColours[i%len(demoColours)]
	series := demoSeries[(i/7)%len(demoSeries)]
	width, height := 20+(i*37)%180, 15+(i*53)%190
	return map[string]any{
		"sku":  fmt.Sprintf("DEMO-%06d", i+1),
		"name": fmt.Sprintf("%s %s %d", series, strings.ToLower(thing.name), 100+i%900),
		"description": fmt.Sprintf("%s of %s in %s, %d × %d cm. %s %s", thing.name, material, colour, width, height,
			demoPraise[i%len(demoPraise)], demoPraise[(i/len(demoPraise)+1)%len(demoPraise)]),
		"price":    map[string]string{"amount": fmt.Sprintf("%d.%02d", 5+(i*7919)%1995, []int{0, 50, 90, 95, 99}[i%5]), "currency": "EUR"},
		"category": thing.category,
		"tags":     []string{material, colour},
		"attributes": map[string]string{
			"series": series, "material": material, "colour": colour, "width": fmt.Sprint(width), "height": fmt.Sprint(height),
		},
	}
}
