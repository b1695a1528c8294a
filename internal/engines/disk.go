//go:build linux || darwin

package engines

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"catalog/internal/metrics"
)

// WatchDisk exports the space of the file system of a folder, until Close. name is the
// label of the folder: data or index.
func (s *Set) WatchDisk(name, folder string) {
	free := metrics.Register(s.Registry, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "catalog_disk_free_bytes", Help: "Free space of the file system that holds the folder; at most 30 s old. Without space, writes fail and the process is not ready.",
	}, []string{"path"})).WithLabelValues(name)
	size := metrics.Register(s.Registry, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "catalog_disk_size_bytes", Help: "Size of the file system that holds the folder.",
	}, []string{"path"})).WithLabelValues(name)
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		metrics.Refresh(ctx, func(context.Context) error {
			var st unix.Statfs_t
			if err := unix.Statfs(folder, &st); err != nil {
				return err
			}
			free.Set(float64(st.Bavail) * float64(st.Bsize))
			size.Set(float64(st.Blocks) * float64(st.Bsize))
			return nil
		})
	}()
	s.OnClose(func() { stop(); <-stopped })
}
