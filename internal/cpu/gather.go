package cpu

import "runtime"

// maxYields is how often Gather lets other goroutines run.
const maxYields = 8

// Gather lets other goroutines run until count, which returns how much work has been
// gathered, no longer changes, at most eight times. Goroutines that were woken together can
// so add their work to one batch, and nothing waits for time.
func Gather(count func() int) {
	for before, try := -1, 0; try < maxYields; try++ {
		runtime.Gosched()
		now := count()
		if now == before {
			return
		}
		before = now
	}
}
