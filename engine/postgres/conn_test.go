package postgres

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

func TestStallConn(t *testing.T) {
	connect := func(t *testing.T, limit time.Duration) (c, server net.Conn) {
		a, b := net.Pipe()
		t.Cleanup(func() { a.Close(); b.Close() })
		return &stallConn{Conn: a, limit: limit}, b
	}
	t.Run("a read from a server that hangs ends", func(t *testing.T) {
		c, _ := connect(t, 10*time.Millisecond)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read = %v, want %v", err, os.ErrDeadlineExceeded)
		}
	})
	t.Run("each read has the whole time", func(t *testing.T) {
		c, server := connect(t, time.Minute)
		go func() {
			for range 2 {
				_, _ = server.Write([]byte("x"))
			}
		}()
		for range 2 {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("an earlier deadline of the driver stays valid", func(t *testing.T) {
		c, _ := connect(t, time.Minute)
		if err := c.SetDeadline(time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read = %v, want %v", err, os.ErrDeadlineExceeded)
		}
	})
}
