package main

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// echoServer returns the address of a server that returns what it receives.
func echoServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func newTestLink(t *testing.T) *Link {
	t.Helper()
	k, err := newLink("test", echoServer(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func dial(t *testing.T, k *Link) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", k.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// unease is how long a test waits to see that something does not happen.
const unease = 50 * time.Millisecond

// echo sends the text and returns the error of reading it back within the time.
func echo(c net.Conn, text string, within time.Duration) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	return receive(c, text, within)
}

func receive(c net.Conn, text string, within time.Duration) error {
	_ = c.SetReadDeadline(time.Now().Add(within))
	b := make([]byte, len(text))
	_, err := io.ReadFull(c, b)
	if err == nil && string(b) != text {
		return errors.New("received " + string(b))
	}
	return err
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestLink(t *testing.T) {
	t.Run("without a fault, data pass unchanged and are no hit", func(t *testing.T) {
		k := newTestLink(t)
		if err := echo(dial(t, k), "hello", patience); err != nil || k.Hits() != 0 {
			t.Errorf("echo = %v after %d hits; want nil, 0", err, k.Hits())
		}
	})
	t.Run("a delay counts once for each direction", func(t *testing.T) {
		k := newTestLink(t)
		c := dial(t, k)
		k.Set(LinkFault{Delay: 50 * time.Millisecond})
		since := time.Now()
		if err := echo(c, "hello", patience); err != nil || time.Since(since) < 100*time.Millisecond || k.Hits() != 2 {
			t.Errorf("echo = %v after %v and %d hits; want nil after 100 ms and 2 hits", err, time.Since(since), k.Hits())
		}
	})
	t.Run("a rate limits how fast data pass", func(t *testing.T) {
		k := newTestLink(t)
		c := dial(t, k)
		k.Set(LinkFault{Rate: 10 * chunkSize})
		since := time.Now()
		if err := echo(c, string(make([]byte, 3*chunkSize)), patience); err != nil || time.Since(since) < 200*time.Millisecond {
			t.Errorf("echo of 3 chunks = %v after %v; want nil after 200 ms or more", err, time.Since(since))
		}
	})
	for name, f := range map[string]LinkFault{
		"data to the server are held back and arrive when the fault ends":   {HoldOut: true},
		"data from the server are held back and arrive when the fault ends": {HoldIn: true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTestLink(t)
			c := dial(t, k)
			if err := echo(c, "before", patience); err != nil {
				t.Fatal(err)
			}
			k.Set(f)
			if err := echo(c, "held", unease); !isTimeout(err) || k.Hits() != 1 {
				t.Errorf("echo = %v after %d hits; want a time-out after 1 hit", err, k.Hits())
			}
			k.Set(LinkFault{})
			if err := receive(c, "held", patience); err != nil {
				t.Errorf("after the fault, receive = %v; want nil", err)
			}
		})
	}
	t.Run("present connections hang for ever and new ones work", func(t *testing.T) {
		k := newTestLink(t)
		old := dial(t, k)
		if err := echo(old, "before", patience); err != nil {
			t.Fatal(err)
		}
		k.Set(LinkFault{HoldPresentConns: true})
		if err := echo(dial(t, k), "new", patience); err != nil {
			t.Errorf("echo over a new connection = %v; want nil", err)
		}
		k.Set(LinkFault{})
		if err := echo(old, "held", unease); !isTimeout(err) {
			t.Errorf("echo over the old connection = %v; want a time-out", err)
		}
	})
	t.Run("present connections are reset and new ones work", func(t *testing.T) {
		k := newTestLink(t)
		old := dial(t, k)
		if err := echo(old, "before", patience); err != nil {
			t.Fatal(err)
		}
		k.Set(LinkFault{ResetOnce: true})
		if err := receive(old, "x", patience); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("receive = %v; want a reset", err)
		}
		if err := echo(dial(t, k), "new", patience); err != nil {
			t.Errorf("echo over a new connection = %v; want nil", err)
		}
	})
	t.Run("a cut resets new connections until it ends", func(t *testing.T) {
		k := newTestLink(t)
		k.Set(LinkFault{Cut: true})
		c, err := net.Dial("tcp", k.Address()) // the reset may be faster than the handshake
		if err == nil {
			defer c.Close()
			err = receive(c, "x", patience)
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("dial and receive = %v; want a reset", err)
		}
		k.Set(LinkFault{})
		if err := echo(dial(t, k), "new", patience); err != nil {
			t.Errorf("after the cut, echo = %v; want nil", err)
		}
	})
	t.Run("data before the end of a connection arrive", func(t *testing.T) {
		k := newTestLink(t)
		c := dial(t, k)
		k.Set(LinkFault{Delay: 50 * time.Millisecond})
		if _, err := io.WriteString(c, "last words"); err != nil {
			t.Fatal(err)
		}
		_ = c.(*net.TCPConn).CloseWrite()
		if err := receive(c, "last words", patience); err != nil {
			t.Errorf("receive = %v; want what was sent before the end", err)
		}
	})
}
