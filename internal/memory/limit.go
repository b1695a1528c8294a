package memory

import (
	"errors"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// limitRatio is the part of the memory limit of the container that Go may use. The
// rest is for memory that Go does not count: mapped files and thread stacks.
const limitRatio = 0.9

// SetLimit sets the soft memory limit of Go to nine tenths of the limit of the
// process's control group, so that Go collects garbage more often before the kernel
// ends the process. It changes nothing when GOMEMLIMIT is set, and where there is no
// limit.
func SetLimit() error {
	_, err := memlimit.Set(memlimit.WithRatio(limitRatio))
	if errors.Is(err, memlimit.ErrCgroupsNotSupported) || errors.Is(err, memlimit.ErrNoCgroup) {
		return nil
	}
	return err
}
