//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"catalog/engine/enginetest/freeport"
)

// smallDisk is a disk in memory. Only programs that enter its mount namespace see it.
type smallDisk struct {
	t      *testing.T
	folder string
	holder string // process id of a process that keeps the namespace
}

// newSmallDisk mounts a disk of one GiB on the folder.
func newSmallDisk(t *testing.T, folder string) *smallDisk {
	t.Helper()
	d := &smallDisk{t: t, folder: folder}
	args := []string{"--mount", "--propagation", "private"}
	if os.Getuid() != 0 { // a user namespace lets other users mount
		args = append(args, "--user", "--map-root-user")
	}
	hold := exec.Command("unshare", append(args, "sh", "-c", `mount -t tmpfs -o size=1g tmpfs "$0" && echo mounted && exec sleep infinity`, folder)...)
	hold.Stderr = os.Stderr
	hold.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := hold.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = hold.Process.Kill()
		_ = hold.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "mounted\n" {
		t.Fatalf("mount a disk: %q, %v", line, err)
	}
	d.holder = strconv.Itoa(hold.Process.Pid)
	return d
}

// enter returns the command that runs a program in the namespace of the disk.
func (d *smallDisk) enter() []string {
	if os.Getuid() != 0 {
		return []string{"nsenter", "--target", d.holder, "--user", "--preserve-credentials", "--mount"}
	}
	return []string{"nsenter", "--target", d.holder, "--mount"}
}

// resize makes the disk so large that it has that many bytes left.
func (d *smallDisk) resize(free int64) {
	d.t.Helper()
	eventually(d.t, "the disk has another size", func() bool {
		var st syscall.Statfs_t
		if err := syscall.Statfs(filepath.Join("/proc", d.holder, "root", d.folder), &st); err != nil {
			d.t.Fatal(err)
		}
		size := int64(st.Blocks-st.Bfree)*st.Bsize + free
		c := d.enter()
		// It fails when something was written since.
		return exec.Command(c[0], append(c[1:], "mount", "-o", fmt.Sprintf("remount,size=%d", size), d.folder)...).Run() == nil
	})
}

const mib = 1 << 20

func TestFullDisk(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o750); err != nil {
		t.Fatal(err)
	}
	disk := newSmallDisk(t, data)
	s := &server{t: t, data: data, prefix: disk.enter()}
	s.api, s.admin, s.grpc = "http://"+freeport.Address(), "http://"+freeport.Address(), freeport.Address()
	s.start()
	t.Cleanup(func() { s.stop(syscall.SIGKILL) })
	admin := &server{t: t, api: s.admin}
	ids := s.createProducts(20, "BEFORE")

	t.Run("an almost full disk rejects writes with 503 and is named", func(t *testing.T) {
		disk.resize(100 * mib)
		var rejected response
		eventually(t, "a write is rejected", func() bool {
			rejected = s.call("POST", "/api/v1/products", productWith(`"category":"Full"`))
			if rejected.status == http.StatusCreated {
				ids = append(ids, rejected.json(t)["id"].(string))
			}
			return rejected.status == http.StatusServiceUnavailable
		})
		if rejected.header.Get("Retry-After") == "" || !strings.Contains(rejected.body, "disk") {
			t.Errorf("a rejected write = %s; want a Retry-After and the reason", rejected.body)
		}
		if a := admin.call("GET", "/readyz", ""); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "the disk of data") {
			t.Errorf("/readyz = %d %s; want 503 that names the disk of data", a.status, a.body)
		}
		metrics := admin.must(http.StatusOK, "GET", "/metrics", "").body
		if !strings.Contains(metrics, `catalog_disk_free_bytes{path="data"} `) {
			t.Errorf("the metrics have no catalog_disk_free_bytes of data")
		}
		s.must(http.StatusOK, "GET", "/api/v1/products/"+ids[0], "")
		s.must(http.StatusOK, "GET", "/api/v1/products?q=chair", "")
	})
	t.Run("writes work again when there is room", func(t *testing.T) {
		disk.resize(1 << 30)
		eventually(t, "ready", func() bool { return admin.call("GET", "/readyz", "").status == http.StatusOK })
		ids = append(ids, s.createProducts(5, "AFTER")...)
	})
	t.Run("a disk that fills at once loses nothing that was accepted", func(t *testing.T) {
		const clients = 4
		var (
			mu             sync.Mutex // guards ids
			wg             sync.WaitGroup
			enough, failed atomic.Bool
		)
		for c := range clients {
			wg.Go(func() {
				for i := 0; !enough.Load(); i++ {
					sku := fmt.Sprintf("FULL-%d-%d", c, i)
					eventually(t, "the write is settled", func() bool {
						a := s.call("POST", "/api/v1/products", productWith(`"sku":"`+sku+`"`), "Idempotency-Key", sku)
						if a.status != http.StatusCreated {
							failed.Store(true)
							return false
						}
						mu.Lock()
						defer mu.Unlock()
						ids = append(ids, a.json(t)["id"].(string))
						return true
					})
				}
			})
		}
		disk.resize(0)
		eventually(t, "a write fails", failed.Load)
		disk.resize(1 << 30)
		enough.Store(true)
		wg.Wait()
		eventually(t, "ready", func() bool { return admin.call("GET", "/readyz", "").status == http.StatusOK })
		_ = s.stop(syscall.SIGKILL)
		s.start()
		s.checkComplete(ids)
	})
}
