//go:build !linux && !darwin

package engines

import "errors"

// folderSpace returns an error: the space is not known on this operating system.
func folderSpace(string) (space, error) { return space{}, errors.ErrUnsupported }
