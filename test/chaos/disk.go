package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// namespaceVariable marks the process that runInNamespace has started.
const namespaceVariable = "CHAOS_MOUNT_NAMESPACE"

// runInNamespace runs this program once more, in a mount namespace of its own, and returns its
// exit code. The file systems that it mounts are seen by no other process and end with it, even
// when it is killed.
func runInNamespace() (int, error) {
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Env = append(os.Environ(), namespaceVariable+"=1")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 { // a user namespace lets other users mount
		c.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		c.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// diskSize is the size of the disk of an engine, in bytes: enough for the longest run.
const diskSize = 1 << 30

// mountDisk gives an engine a disk of its own, in memory, before its first start.
func (s *System) mountDisk(engine string) error {
	folder := s.dataFolder(engine)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		return fmt.Errorf("mount a disk for %s: %w", engine, err)
	}
	return nil
}

func (s *System) dataFolder(engine string) string { return filepath.Join(s.dir, "data", engine) }

// resizeDisk sets the size of the disk of an engine. 0 makes the disk full: its size is then that
// of its contents.
func (s *System) resizeDisk(ctx context.Context, engine string, size uint64) error {
	var last error
	err := waitUntil(ctx, "the disk of "+engine+" has another size", func() bool {
		to := size
		if to == 0 {
			var st unix.Statfs_t
			if last = unix.Statfs(s.dataFolder(engine), &st); last != nil {
				return false
			}
			to = (st.Blocks - st.Bfree) * uint64(st.Bsize)
		}
		// It fails when the engine has written more since.
		last = unix.Mount("", s.dataFolder(engine), "", unix.MS_REMOUNT, fmt.Sprintf("size=%d", to))
		return last == nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}

// fullDisks returns the faults in which the disk of an engine is full for a while.
func fullDisks(s *System, times int) []fault {
	if times == 0 {
		return nil
	}
	return []fault{
		{name: "full disk postgres", times: times, fire: func(ctx context.Context, _ int) error {
			errs := s.errorsWithoutSpace("postgres")
			return s.whileFull(ctx, "postgres", "writer", func() bool { return s.errorsWithoutSpace("postgres") > errs })
		}},
		// Kafka ends when it cannot write, as it is made to. Its supervisor starts it again.
		{name: "full disk kafka", times: times, fire: func(ctx context.Context, _ int) error {
			return s.whileFull(ctx, "kafka", "gateway", func() bool { return s.ended("kafka") })
		}},
	}
}

// whileFull fills the disk of an engine, waits until the engine has failed to write and until
// a service says so, and makes room again.
func (s *System) whileFull(ctx context.Context, engine, service string, failed func() bool) error {
	s.note("full disk: %s", engine)
	err := s.resizeDisk(ctx, engine, 0)
	if err == nil {
		err = waitUntil(ctx, engine+" has no space left", failed)
	}
	if err == nil {
		err = s.becomesVisible(ctx, service, engine)
	}
	s.note("room on the disk again: %s", engine)
	return errors.Join(err, s.resizeDisk(ctx, engine, diskSize), s.startEngines(ctx), s.ready(ctx))
}

// errorsWithoutSpace counts the messages of an engine about a full disk.
func (s *System) errorsWithoutSpace(engine string) int {
	log, _ := os.ReadFile(filepath.Join(s.dir, engine+".log"))
	return strings.Count(string(log), "No space left on device")
}

// ended reports whether the engine has ended by itself.
func (s *System) ended(engine string) bool {
	s.starting.Lock()
	defer s.starting.Unlock()
	_ = s.reap(engine)
	_, err := os.Stat(s.pidFile(engine))
	return errors.Is(err, os.ErrNotExist)
}

// becomesVisible waits until a process of the service is not ready and names the text.
func (s *System) becomesVisible(ctx context.Context, service, text string) error {
	return waitUntil(ctx, "a "+service+" is not ready and names "+text, func() bool { return s.visible(service, text) })
}

// visible reports whether a process of the service is not ready and names the text.
func (s *System) visible(service, text string) bool {
	for _, p := range s.processes[service] {
		if strings.Contains(p.notReady(), text) {
			return true
		}
	}
	return false
}
