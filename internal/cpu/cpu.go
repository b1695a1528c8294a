// Package cpu shares the CPUs of a process: long computations leave one of them to short requests,
// and work that is ready at the same time is gathered.
package cpu

import "runtime"

// count is the number of CPUs that the process may use: the default of GOMAXPROCS follows
// the limit of a container. catalog up raises GOMAXPROCS later.
var count = runtime.GOMAXPROCS(0)

// Count returns the number of CPUs that the process may use.
func Count() int { return count }

// ButOne returns one less than the number of CPUs, and at least 1.
func ButOne() int { return max(1, count-1) }
