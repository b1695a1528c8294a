package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Link forwards the TCP connections of one process to one server, and can disturb them.
type Link struct {
	Name   string // such as "writer1 postgres"
	target string // address of the server

	listener net.Listener
	hits     atomic.Int64 // how often a fault affected a connection or data

	mu      sync.Mutex
	conns   map[*linkConn]bool
	fault   LinkFault
	changed chan struct{} // closed when fault changes
}

// LinkFault is the way in which a Link disturbs its connections. The zero value forwards data
// unchanged.
type LinkFault struct {
	Delay            time.Duration // delay of all data
	Rate             int           // bytes a second in each direction; 0 means no limit
	HoldOut, HoldIn  bool          // hold the data to, or from, the server back
	Cut              bool          // reset connections and those that are opened later
	HoldPresentConns bool          // hold the data of the connections that exist now back forever
	ResetOnce        bool          // reset the connections that exist now
}

// newLink starts a link to the server at the target address.
func newLink(name, target string) (*Link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &Link{Name: name, target: target, listener: l, conns: map[*linkConn]bool{}, changed: make(chan struct{})}
	go k.accept()
	return k, nil
}

// Address returns the address that the process connects to.
func (k *Link) Address() string { return k.listener.Addr().String() }

// Close closes the link and its connections.
func (k *Link) Close() {
	k.listener.Close()
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		c.close(false)
	}
}

// Set replaces the fault of the link and returns the number of Hits before.
func (k *Link) Set(f LinkFault) (hits int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	hits = k.hits.Load()
	k.fault = f
	for c := range k.conns {
		switch {
		case f.Cut || f.ResetOnce:
			k.hits.Add(1)
			c.close(true)
		case f.HoldPresentConns:
			c.held.Store(true)
		}
	}
	close(k.changed)
	k.changed = make(chan struct{})
	return hits
}

// Hits returns how often faults affected a connection or data so far.
func (k *Link) Hits() int64 { return k.hits.Load() }

// state returns the present fault and a channel that is closed when it changes.
func (k *Link) state() (LinkFault, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fault, k.changed
}

func (k *Link) accept() {
	for {
		process, err := k.listener.Accept()
		if err != nil {
			return
		}
		go k.connect(process)
	}
}

// connect connects to the server and forwards data until one side closes.
func (k *Link) connect(process net.Conn) {
	c := &linkConn{link: k, process: process, closed: make(chan struct{})}
	server, err := net.Dial("tcp", k.target)
	if err != nil {
		c.close(true)
		return
	}
	c.server = server
	k.mu.Lock()
	if k.fault.Cut {
		k.hits.Add(1)
		c.close(true)
	}
	k.conns[c] = true
	k.mu.Unlock()
	var directions sync.WaitGroup
	directions.Go(func() { c.forward(process, server, func(f LinkFault) bool { return f.HoldOut }) })
	directions.Go(func() { c.forward(server, process, func(f LinkFault) bool { return f.HoldIn }) })
	directions.Wait()
	c.close(false)
	k.mu.Lock()
	delete(k.conns, c)
	k.mu.Unlock()
}

// linkConn is a connection of a process, and the one to the server that belongs to it.
type linkConn struct {
	link            *Link
	process, server net.Conn
	held            atomic.Bool // no data are forwarded any more
	once            sync.Once
	closed          chan struct{}
}

// close closes both connections, with a reset or in order.
func (c *linkConn) close(reset bool) {
	c.once.Do(func() {
		for _, side := range []net.Conn{c.process, c.server} {
			if side == nil {
				continue
			}
			if reset {
				_ = side.(*net.TCPConn).SetLinger(0)
			}
			side.Close()
		}
		close(c.closed)
	})
}

// chunk is data that arrived at a link.
type chunk struct {
	data []byte
	at   time.Time
}

const (
	chunkSize = 16 << 10
	// maxChunks limits what a link holds back of one direction of a connection. A sender of
	// more is stopped by TCP, as by a network that delivers nothing.
	maxChunks = 64
)

// forward forwards the data of one direction, and then the end of that direction. When data
// cannot be forwarded, it closes the connection.
func (c *linkConn) forward(from, to net.Conn, hold func(LinkFault) bool) {
	chunks := make(chan chunk, maxChunks)
	go c.read(from, chunks)
	var last time.Time // when the previous chunk was forwarded
	for next := range chunks {
		if !c.wait(next, last, hold) {
			return
		}
		if _, err := to.Write(next.data); err != nil {
			c.close(true)
			return
		}
		last = time.Now()
	}
	_ = to.(*net.TCPConn).CloseWrite()
}

// read passes on what arrives, until the connection ends.
func (c *linkConn) read(from net.Conn, chunks chan<- chunk) {
	defer close(chunks)
	for {
		b := make([]byte, chunkSize)
		n, err := from.Read(b)
		if n > 0 {
			select {
			case chunks <- chunk{b[:n], time.Now()}:
			case <-c.closed:
				return
			}
		}
		if err != nil {
			if c.held.Load() || !errors.Is(err, io.EOF) {
				c.close(true)
			}
			return
		}
	}
}

// wait waits until the chunk is due. It reports false when the connection is closed first.
func (c *linkConn) wait(next chunk, last time.Time, hold func(LinkFault) bool) bool {
	hit := false
	for {
		f, changed := c.link.state()
		due := next.at.Add(f.Delay)
		if f.Rate > 0 {
			due = later(due, last.Add(time.Duration(len(next.data))*time.Second/time.Duration(f.Rate)))
		}
		held := c.held.Load() || hold(f)
		pause := time.Until(due)
		if !held && pause <= 0 {
			return true
		}
		if !hit {
			hit = true
			c.link.hits.Add(1)
		}
		if held {
			pause = time.Hour
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-changed:
		case <-c.closed:
		}
		timer.Stop()
		select {
		case <-c.closed:
			return false
		default:
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
