// Package freeport finds addresses for servers that tests start, stop and
// restart.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// The ports lie below the ephemeral ports, which start at 32768 on Linux. While
// a server is down, an outgoing connection could otherwise take its port, or
// even connect to itself.
const (
	first = 10_000
	ports = 20_000
)

// tried counts the ports that this process has tried. Each process starts at a
// random port and uses none twice, so a server that restarts finds its port free.
var tried atomic.Int64

// Address returns a free address on the loopback interface, as host:port. It
// panics when all ports are in use.
func Address() string {
	tried.CompareAndSwap(0, 1+rand.Int64N(ports))
	for range ports {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+tried.Add(1)%ports))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	panic(fmt.Sprintf("freeport: all ports from %d to %d are in use on 127.0.0.1; stop some servers", first, first+ports-1))
}
