package engines

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/engine/kafka"
	"catalog/internal/metrics"
)

const (
	// minFree is the free space, in bytes, below which a disk counts as full. The
	// commands accepted before must still be settled, published and indexed, and the
	// space is measured only every diskInterval.
	minFree = 256 << 20
	// diskInterval is the time between two measurements of the free space.
	diskInterval = 5 * time.Second
	// diskTimeout limits one measurement, since an engine may hang.
	diskTimeout = 5 * time.Second
)

// disk is a disk that must not become full.
type disk struct {
	name string
	free atomic.Int64 // free bytes; the largest number before the first measurement
}

// Room returns an error that names a disk which is almost full: commands must not be
// accepted then.
func (s *Set) Room(context.Context) error {
	for _, d := range s.disks {
		if free := d.free.Load(); free < minFree {
			return fmt.Errorf("the disk of %s has %d MiB left and writes need %d: make room; nothing else needs to be done", d.name, free>>20, minFree>>20)
		}
	}
	return nil
}

// space is what a measurement of a disk returns, in bytes.
type space struct {
	free, size int64
	usable     int64 // bytes that Room compares with its limit; free, unless other disks can do the work
}

// watch measures the space of a disk regularly, until Close. name is the label of the
// metrics.
func (s *Set) watch(name string, measure func(context.Context) (space, error)) {
	free := metrics.Register(s.Registry, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "catalog_disk_free_bytes", Help: "Free space of a disk, at most 5 s old: of the folder data or index, or of the fullest broker of kafka. Below 256 MiB writes are rejected and the process is not ready.",
	}, []string{"path"})).WithLabelValues(name)
	size := metrics.Register(s.Registry, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "catalog_disk_size_bytes", Help: "Size of the same disk.",
	}, []string{"path"})).WithLabelValues(name)
	d := &disk{name: name}
	d.free.Store(math.MaxInt64)
	if len(s.disks) == 0 {
		s.AddCheck("disk", s.Room)
	}
	s.disks = append(s.disks, d)
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		interval := time.NewTicker(diskInterval)
		defer interval.Stop()
		for {
			measuring, cancel := context.WithTimeout(ctx, diskTimeout)
			if now, err := measure(measuring); err == nil { // the check of the engine reports an error
				d.free.Store(now.usable)
				free.Set(float64(now.free))
				size.Set(float64(now.size))
			}
			cancel()
			select {
			case <-interval.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	s.OnClose(func() { stop(); <-stopped })
}

// WatchFolder watches the disk of a folder: its space is exported, and Room returns an
// error while it is almost full.
func (s *Set) WatchFolder(name, folder string) {
	s.watch(name, func(context.Context) (space, error) { return folderSpace(folder) })
}

// WatchBrokers does the same with the disks of the Kafka brokers. As many disks as there are spare
// replicas may be full.
func (s *Set) WatchBrokers(log *kafka.Log) {
	s.watch("kafka", func(ctx context.Context) (space, error) {
		disks, err := log.Disks(ctx)
		if err != nil {
			return space{}, err
		}
		if len(disks) == 0 {
			return space{}, fmt.Errorf("no broker reports its space")
		}
		enough := disks[min(log.SpareReplicas(), len(disks)-1)]
		return space{free: disks[0].Free, size: disks[0].Size, usable: enough.Free}, nil
	})
}
