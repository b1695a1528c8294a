//go:build !linux && !darwin

package engines

// WatchDisk does nothing on this operating system.
func (s *Set) WatchDisk(string, string) {}
