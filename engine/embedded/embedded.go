// Package embedded replaces a cluster by a folder on this machine: a log with the
// protocol of Kafka, and the place of the SQLite file. One process at a time holds
// the folder. It serves `catalog up` and tests.
//
// It promises that an acknowledged write is on disk: it survives the end of the
// process at any moment.
package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Shards is the number of partitions of the log.
const Shards = 8

// Dir is an open data folder.
type Dir struct {
	path string
	lock *os.File
	log  *kfake.Cluster
}

// ErrInUse means that another process holds the folder.
var ErrInUse = errors.New("the data folder is in use")

// Open locks the folder for this process. It creates the folder if it does not
// exist. It returns ErrInUse when another process holds the lock.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("create the data folder: %w", err)
	}
	// A folder that was made by hand, or by an older version, may be open to others.
	if err := os.Chmod(path, 0o700); err != nil {
		return nil, fmt.Errorf("close the data folder to other users: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := io.ReadAll(lock)
		lock.Close()
		return nil, fmt.Errorf("%w: process %s has locked %s; stop it, or choose another folder with -data", ErrInUse, strings.TrimSpace(string(owner)), path)
	}
	// The process id in the file is for error messages. The lock itself belongs to
	// the open file, and ends with the process.
	_ = lock.Truncate(0)
	_, _ = lock.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return &Dir{path: path, lock: lock}, nil
}

// Path returns the path of a file or folder in the data folder.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Kafka starts the log on a free port of the loopback interface and returns its
// address.
func (d *Dir) Kafka() (string, error) {
	log, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.DataDir(d.Path("kafka")),
		kfake.SyncWrites(),
	)
	if err != nil {
		return "", fmt.Errorf("start the embedded log in %s: %w", d.Path("kafka"), err)
	}
	d.log = log
	return log.ListenAddrs()[0], nil
}

// HasKafka reports whether the log of the folder was started.
func (d *Dir) HasKafka() bool { return d.log != nil }

// Close stops the log and unlocks the folder.
func (d *Dir) Close() {
	if d.log != nil {
		d.log.Close()
	}
	d.lock.Close()
}
