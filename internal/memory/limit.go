package memory

import (
	"errors"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// limitRatio is the part of the memory limit of the container that Go may use. The
// rest is for memory that Go does not count, such as mapped files, and for what the
// heap grows while a collection runs: with nine tenths of 256 MiB, a writer under
// attack had 268 MiB.
const limitRatio = 0.8

// SetLimit sets the soft memory limit of Go to four fifths of the limit of the
// process's control group, so that Go collects garbage more often before the kernel
// ends the process. Where there is no such limit it sets unlimited, or none if that
// is 0. It changes nothing when GOMEMLIMIT is set.
func SetLimit(unlimited int64) error {
	_, err := memlimit.Set(memlimit.WithProvider(func() (uint64, error) {
		limit, err := memlimit.FromCgroup()
		switch {
		case err == nil:
			return uint64(limitRatio * float64(limit)), nil
		case !errors.Is(err, memlimit.ErrNoLimit) && !errors.Is(err, memlimit.ErrCgroupsNotSupported) && !errors.Is(err, memlimit.ErrNoCgroup):
			return 0, err
		case unlimited == 0:
			return 0, memlimit.ErrNoLimit
		}
		return uint64(unlimited), nil
	}), memlimit.WithRatio(1))
	return err
}
