package postgres

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	// unacknowledgedTimeout is how long a host may leave data unacknowledged before
	// its connection ends: TCP alone takes about 15 minutes.
	unacknowledgedTimeout = 10 * time.Second

	// stallTimeout is how long a read waits for the server. It is longer than
	// statementTimeout, so the server would have ended the statement: it hangs, or a
	// proxy between us does, whose host still acknowledges.
	stallTimeout = 35 * time.Second

	// pingTimeout is how long an idle connection may take to respond before it is
	// replaced. A pool of connections that hang costs that time for each of them.
	pingTimeout = time.Second
)

// dial opens a connection that notices a host that is gone.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         setUnacknowledgedTimeout,
	}
	return d.DialContext(ctx, network, address)
}

// dialStalling opens a connection on which no read waits longer than stallTimeout.
func dialStalling(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &stallConn{Conn: c, limit: stallTimeout}, nil
}

// stallConn limits the time of each read. Deadlines that the driver sets stay valid.
type stallConn struct {
	net.Conn
	limit time.Duration

	mu       sync.Mutex
	deadline time.Time // deadline that the driver has set; zero for none
}

// Read reads, for at most the limit.
func (c *stallConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	deadline := time.Now().Add(c.limit)
	if !c.deadline.IsZero() && c.deadline.Before(deadline) {
		deadline = c.deadline
	}
	err := c.Conn.SetReadDeadline(deadline)
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// SetDeadline sets the deadlines of reads and writes.
func (c *stallConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline sets the deadline of reads.
func (c *stallConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetReadDeadline(t)
}
