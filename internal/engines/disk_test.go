package engines

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Set{Registry: prometheus.NewRegistry()}
		defer s.Close()
		if err := s.Room(t.Context()); err != nil {
			t.Errorf("Room without a disk = %v; want nil", err)
		}
		var free atomic.Int64
		var lost atomic.Bool
		free.Store(1 << 40)
		s.watch("data", func(context.Context) (space, error) {
			if lost.Load() {
				return space{}, errors.New("no response")
			}
			return space{free: free.Load(), size: 1 << 41, usable: free.Load()}, nil
		})
		s.watch("kafka", func(context.Context) (space, error) { return space{usable: 1 << 40}, nil })
		measured := func() error { time.Sleep(diskInterval); synctest.Wait(); return s.Room(t.Context()) }
		if err := measured(); err != nil {
			t.Errorf("Room with space = %v; want nil", err)
		}
		free.Store(12 << 20)
		if err := measured(); err == nil || !strings.Contains(err.Error(), "the disk of data has 12 MiB left") {
			t.Errorf("Room of an almost full disk = %v; want its name and space", err)
		}
		if c := s.Checks(); len(c) != 1 || c[0].Name != "disk" || c[0].Ping(t.Context()) == nil {
			t.Errorf("Checks = %v; want one that fails", c)
		}
		free.Store(minFree)
		if err := measured(); err != nil {
			t.Errorf("Room when there is space again = %v; want nil", err)
		}
		lost.Store(true)
		if err := measured(); err != nil {
			t.Errorf("Room of an engine that does not respond = %v; want what was measured last", err)
		}
	})
}

func TestFolderSpace(t *testing.T) {
	at, err := folderSpace(t.TempDir())
	if err != nil || at.free <= 0 || at.free > at.size || at.usable != at.free {
		t.Errorf("folderSpace = %+v, %v; want a part of the size free", at, err)
	}
	if _, err := folderSpace(t.TempDir() + "/missing"); err == nil {
		t.Error("folderSpace of a missing folder = nil; want an error")
	}
}
