//go:build !failpoint

package failpoint

// Here does nothing in a program built without the tag failpoint.
func Here(Point) {}
