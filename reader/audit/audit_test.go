package audit_test

import (
	"fmt"
	"testing"

	"catalog/reader/audit"
	"catalog/reader/internal/readertest"
)

// verify returns the differences, and the comparisons by store.
func verify(t testing.TB, h *readertest.Harness, repair bool) ([]audit.Difference, map[string]audit.Comparison) {
	t.Helper()
	var differences []audit.Difference
	comparisons, err := h.Auditor.Verify(t.Context(), audit.Verification{
		Repair: repair, Progress: func(string, int64, int64) {}, Difference: func(d audit.Difference) { differences = append(differences, d) },
	})
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]audit.Comparison{}
	for _, c := range comparisons {
		by[c.Store] = c
	}
	return differences, by
}

// summary describes the first differences in a line each.
func summary(differences []audit.Difference) string {
	s := fmt.Sprintf("%d differences", len(differences))
	for _, d := range differences[:min(3, len(differences))] {
		s += fmt.Sprintf("\n\t%s: product %s has version %d %q; want version %d %q", d.Store, d.Want.ID, d.Got.Version, d.Got.Name, d.Want.Version, d.Want.Name)
	}
	return s
}

// wantEqual checks that no product differs.
func wantEqual(t testing.TB, h *readertest.Harness) {
	t.Helper()
	if differences, _ := verify(t, h, false); len(differences) > 0 {
		t.Fatal(summary(differences))
	}
}
