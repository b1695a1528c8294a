package enginetest

import (
	"testing"
	"time"

	"catalog"
)

// storeSizes waits for the figures, because PostgreSQL updates its statistics some
// time after a commit.
func storeSizes(t *testing.T, s Store) {
	o := claim(t, s, 1)
	o.settle(t, []catalog.Outcome{catalog.Created, catalog.Created, catalog.Changed},
		command("1", "p", catalog.CreateProduct{Data: data("A")}),
		command("2", "q", catalog.CreateProduct{Data: data("B")}),
		command("3", "q", giveSKU("C")))
	for end := time.Now().Add(time.Minute); ; <-time.After(50 * time.Millisecond) {
		z, err := s.Sizes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if z.Products == 2 && z.JournalEvents == 3 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("Sizes = %+v after a minute; want 2 products and 3 events", z)
		}
	}
}
