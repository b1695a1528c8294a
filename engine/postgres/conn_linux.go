package postgres

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// setUnacknowledgedTimeout sets unacknowledgedTimeout for a TCP socket.
func setUnacknowledgedTimeout(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var err error
	controlErr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unacknowledgedTimeout.Milliseconds()))
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}
