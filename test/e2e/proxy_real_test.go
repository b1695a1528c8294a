//go:build real

package e2e

import (
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy forwards connections to an engine. It can disconnect, freeze or slow them.
type proxy struct {
	address string
	mu      sync.Mutex
	down    bool
	conns   map[net.Conn]bool
	flow    sync.RWMutex // held for writing while the proxy is frozen
	perByte atomic.Int64 // nanoseconds that a connection takes for a byte
}

// startProxy starts a proxy for the engine at the URL and returns the URL that
// goes through the proxy.
func startProxy(t *testing.T, engine string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(engine)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &proxy{address: u.Host, conns: map[net.Conn]bool{}}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(in)
		}
	}()
	u.Host = l.Addr().String()
	return c, u.String()
}

func (c *proxy) serve(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", c.address)
	if err != nil {
		return
	}
	defer out.Close()
	c.mu.Lock()
	if c.down {
		c.mu.Unlock()
		return
	}
	c.conns[in], c.conns[out] = true, true
	c.mu.Unlock()
	go func() {
		_, _ = io.Copy(proxyWriter{out, c}, in)
		out.Close()
	}()
	_, _ = io.Copy(proxyWriter{in, c}, out)
	c.mu.Lock()
	delete(c.conns, in)
	delete(c.conns, out)
	c.mu.Unlock()
}

// proxyWriter writes unless the proxy is frozen, as fast as the proxy allows.
type proxyWriter struct {
	io.Writer
	*proxy
}

func (e proxyWriter) Write(b []byte) (int, error) {
	e.flow.RLock()
	defer e.flow.RUnlock()
	if d := time.Duration(e.perByte.Load() * int64(len(b))); d > 0 {
		<-time.After(d)
	}
	return e.Writer.Write(b)
}

// freeze holds all data back until unfreeze is called: the engine seems frozen.
func (c *proxy) freeze() (unfreeze func()) {
	c.flow.Lock()
	return sync.OnceFunc(c.flow.Unlock)
}

// limit limits each connection to this number of bytes per second; 0 means no
// limit.
func (c *proxy) limit(bytesPerSecond int64) {
	perByte := int64(0)
	if bytesPerSecond > 0 {
		perByte = int64(time.Second) / bytesPerSecond
	}
	c.perByte.Store(perByte)
}

// disconnect closes all connections and refuses new ones until it is called with
// false.
func (c *proxy) disconnect(out bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = out
	if out {
		for conn := range c.conns {
			conn.Close()
		}
	}
}
