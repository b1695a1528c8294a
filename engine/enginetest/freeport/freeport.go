// Package freeport finds addresses for servers that tests start, stop and start
// again.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// The ports lie below those that systems give to connections that go out
// (32768 and up on Linux). Until the server listens on its port, and whenever it
// is down, a connection could otherwise take it, or even connect to itself.
const (
	first = 10_000
	ports = 20_000
)

// taken is how many ports were looked at. Each process begins at another, and
// is given none twice: a server that is down for a moment finds its own free.
var taken atomic.Int64

// Address is one on the loopback interface that nobody listens on, as host:port.
// It panics when there is none.
func Address() string {
	taken.CompareAndSwap(0, 1+rand.Int64N(ports))
	for range ports {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+taken.Add(1)%ports))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	panic("no port is free on the loopback interface")
}
