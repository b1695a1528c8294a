//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// Here ends here, if this is the place and the time that $CATALOG_FAILPOINT
// names.
func Here(p Place) {
	plan := planned()
	if p != plan.place || plan.passed.Add(1) < plan.count {
		return
	}
	if !plan.hang {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	select {}
}

// plan is what $CATALOG_FAILPOINT says.
type plan struct {
	place  Place
	count  int64
	hang   bool
	passed atomic.Int64
}

var planned = sync.OnceValue(func() *plan {
	value := os.Getenv("CATALOG_FAILPOINT")
	if value == "" {
		return &plan{}
	}
	name, rest, _ := strings.Cut(value, ":")
	count, hang, _ := strings.Cut(rest, ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 || hang != "" && hang != "hang" || !slices.Contains(Places(), Place(name)) {
		fmt.Fprintf(os.Stderr, "CATALOG_FAILPOINT=%s is not place:count or place:count:hang, of a place that there is\n", value)
		os.Exit(2)
	}
	return &plan{place: Place(name), count: n, hang: hang != ""}
})
