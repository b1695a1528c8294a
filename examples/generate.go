//go:build ignore

// Command generate writes furniture.csv: invented products in the form and with
// the irregularities of a real listing. Its output is always the same.
package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
)

func main() {
	r := rand.New(rand.NewPCG(7, 7))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var b strings.Builder
	b.WriteString("\uFEFFX1;item_id;name;category;price;old_price;sellable_online;short_description;designer;depth;height;width\r\n")
	categories := []string{"Bar furniture", "Beds", "Bookcases & shelving units", "Café furniture", "Chairs", "Children's furniture", "Outdoor furniture", "Sofas & armchairs", "Tables & desks", "Wardrobes"}
	n := 0
	for item := range 90 {
		name := pick("ÅLVIK", "BJÖRKÖ", "CALÉ", "DRÖMME", "ÉTAGE", "FJÄLL", "GRÅVIND", "HÖJD", "ILSE / ILSE", "KØGE", "LÖVÅS", "MÅNE") + pick("", "", " mini", " XL")
		thing := pick("Bar table", "Bar stool with backrest", "Bed frame", "Bookcase", "Armchair", "Children's chair", "Bench, in/outdoor", "2-seat sofa", "Desk", "Wardrobe with \"\"sliding\"\" doors")
		price := fmt.Sprintf("%d,%d", 15+r.IntN(3000), 5*r.IntN(2))
		old := pick("No old price", "No old price", fmt.Sprintf("SR %d", 20+r.IntN(3000)))
		designer := pick("Åsa Lind", "Jo Ek/Per Holm", "Zoë Vidal", "", "105.204.33 Easy to clean; wipe with a damp cloth.")
		size := func() string { return pick("", fmt.Sprint(20+r.IntN(200))) }
		depth, height, width := size(), size(), size()
		// An item has one row for each category in which it is sold.
		from := r.IntN(len(categories))
		for i := range 1 + max(0, r.IntN(5)-2) {
			fmt.Fprintf(&b, "%d;%d;%s;%s;%s;%s;%s;\"%s,          %dx%d cm%s\";\"%s\";%s;%s;%s\r\n", n, 20_400_000+item*137, name,
				categories[(from+i)%len(categories)], price, old, pick("TRUE", "TRUE", "FALSE"), thing, 40+r.IntN(3)*10, 60, pick("", "", "\nFlat packed"),
				designer, depth, height, width)
			n++
		}
	}
	if err := os.WriteFile("furniture.csv", []byte(b.String()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
