//go:build !unix

package daemon

// PrivateFiles does nothing: the permissions of the folder decide.
func PrivateFiles() {}
