//go:build !linux

package postgres

import "syscall"

// setUnacknowledgedTimeout does nothing: other systems have no such timeout.
func setUnacknowledgedTimeout(string, string, syscall.RawConn) error { return nil }
