package audit

import (
	"fmt"
	"testing"

	"catalog"
)

func TestGroups(t *testing.T) {
	for _, test := range []struct{ suspects, size, groups int }{
		{0, 0, 0},
		{1, 900_000, 1},
		{maxRecheck, 100, 1},
		{maxRecheck + 1, 100, 2},
		{100, 900_000, 20}, // five of them reach maxRecheckBytes
		{3, 2 * maxRecheckBytes, 3},
	} {
		t.Run(fmt.Sprintf("%d products of %d bytes are checked in %d groups", test.suspects, test.size, test.groups), func(t *testing.T) {
			var all []suspect
			for i := range test.suspects {
				all = append(all, suspect{catalog.DerivedID(fmt.Sprint(i)), test.size})
			}
			got := groups(all)
			n := 0
			for _, group := range got {
				for _, id := range group {
					if id != all[n].id {
						t.Fatalf("product %d is %s; want %s", n, id, all[n].id)
					}
					n++
				}
			}
			if len(got) != test.groups || n != test.suspects {
				t.Errorf("%d products in %d groups; want %d in %d", n, len(got), test.suspects, test.groups)
			}
		})
	}
}
