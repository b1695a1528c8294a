// Package embedded makes a folder on this machine do what a cluster does in
// production: a log with Kafka's protocol and a file for SQLite, held by one
// process at a time. It is for `catalog up` and for tests.
//
// It promises that what was acknowledged is on the disk, so that it survives
// the end of the process at any moment.
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

// Shards is the number of partitions of a log on one machine.
const Shards = 8

// Dir is an open folder.
type Dir struct {
	path string
	lock *os.File
	log  *kfake.Cluster
}

// ErrInUse says that another process has the folder.
var ErrInUse = errors.New("the data folder is in use")

// Open makes the folder if it is not there, and takes it for this process.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the data folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := io.ReadAll(lock)
		lock.Close()
		return nil, fmt.Errorf("%w: process %s has %s; stop it, or choose another folder with -data", ErrInUse, strings.TrimSpace(string(owner)), path)
	}
	// The number is for people; what counts is the lock, which ends with us.
	_ = lock.Truncate(0)
	_, _ = lock.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return &Dir{path: path, lock: lock}, nil
}

// Path is the place of a file or folder in the folder.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Kafka starts the log, on a free port of the loopback interface, and answers
// its address.
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

// Close stops the log and gives the folder back.
func (d *Dir) Close() {
	if d.log != nil {
		d.log.Close()
	}
	d.lock.Close()
}
