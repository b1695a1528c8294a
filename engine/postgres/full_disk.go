package postgres

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// diskFull is the error code of a server whose disk has no space left.
const diskFull = "53100"

// fullDiskMemory is how long after such an error the server counts as full. A batch that
// failed is repeated more often, and a shard that another process has taken over is not.
const fullDiskMemory = 5 * time.Second

// errFullDisk is what Ping returns while the server has no space left. It still reads.
var errFullDisk = errors.New("no space left on the disk of the server: make room; batches are repeated until they fit")

// fullDisk remembers when the server last had no space left. The zero value is ready to
// use.
type fullDisk struct{ at atomic.Int64 } // the time in nanoseconds

// note remembers an error of a transaction.
func (f *fullDisk) note(err error, now time.Time) {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == diskFull {
		f.at.Store(now.UnixNano())
	}
}

// check returns errFullDisk when the server had no space left a moment ago.
func (f *fullDisk) check(now time.Time) error {
	if now.UnixNano()-f.at.Load() < int64(fullDiskMemory) {
		return errFullDisk
	}
	return nil
}
