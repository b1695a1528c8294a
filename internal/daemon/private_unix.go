//go:build unix

package daemon

import "syscall"

// PrivateFiles makes the files and folders that the process creates readable for its
// user only, whichever library creates them: they hold the data of the catalogue.
func PrivateFiles() { syscall.Umask(0o077) }
