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

// Here kills or blocks the process if $CATALOG_FAILPOINT names p and p has been
// passed often enough. Otherwise it does nothing.
func Here(p Point) {
	t := armed()
	if p != t.point || t.passed.Add(1) < t.count {
		return
	}
	if !t.hang {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	select {}
}

// trigger is the parsed value of $CATALOG_FAILPOINT.
type trigger struct {
	point  Point
	count  int64 // number of the pass at which the trigger fires
	hang   bool  // block instead of killing the process
	passed atomic.Int64
}

// parse parses a value of $CATALOG_FAILPOINT. An empty value returns a trigger
// that never fires.
func parse(value string) (*trigger, error) {
	if value == "" {
		return &trigger{}, nil
	}
	name, rest, _ := strings.Cut(value, ":")
	count, hang, _ := strings.Cut(rest, ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 || hang != "" && hang != "hang" || !slices.Contains(append(Points(), ReaderRebuilding), Point(name)) {
		return nil, fmt.Errorf("CATALOG_FAILPOINT=%s: want point:count or point:count:hang, with a point of package failpoint", value)
	}
	return &trigger{point: Point(name), count: n, hang: hang != ""}, nil
}

var armed = sync.OnceValue(func() *trigger {
	t, err := parse(os.Getenv("CATALOG_FAILPOINT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return t
})
