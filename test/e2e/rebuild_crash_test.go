package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"catalog/engine/enginetest/freeport"
)

// TestRebuild_crash kills the whole system between two steps of a rebuild while
// clients write. Then the index must be whole, and must not have been made again from
// nothing. CATALOG_TEST_FULL=1 tries all steps, otherwise some of each kind.
func TestRebuild_crash(t *testing.T) {
	t.Parallel()
	const n, steps = 1_000, 40
	crashing := filepath.Join(t.TempDir(), "catalog")
	if out, err := exec.Command("go", "build", "-tags", "failpoint", "-o", crashing, "catalog/cmd/catalog").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := &server{t: t, data: dataDir(t)}
	s.api, s.admin, s.grpc = "http://"+freeport.Address(), "http://"+freeport.Address(), freeport.Address()
	t.Cleanup(func() { s.stop(syscall.SIGKILL) })
	s.start()
	s.importProducts(n)

	// Some clients write all the time. What happens to their writes does not matter here.
	stop := make(chan struct{})
	var writing sync.WaitGroup
	defer writing.Wait()
	defer close(stop)
	for i := range 2 {
		writing.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				r, err := newRequest(t.Context(), "PUT", fmt.Sprintf("%s/api/v1/products/01a209f6-9b44-7a92-ae27-0da7b15041%02d", s.api, 2*(k%10)+i),
					fmt.Sprintf(`{"name":"Busy %d","price":{"amount":"%d","currency":"EUR"}}`, k, k%9+1))
				if err != nil {
					t.Error(err)
					return
				}
				if response, err := http.DefaultClient.Do(r); err == nil {
					response.Body.Close()
				}
			}
		})
	}

	died := 0
	for step := 1; step <= steps; step++ {
		if some := step == 6 || step == 12 || step >= 15; !some && os.Getenv("CATALOG_TEST_FULL") != "1" {
			continue
		}
		_ = s.stop(syscall.SIGTERM)
		s.prefix = []string{"sh", "-c", fmt.Sprintf(`CATALOG_FAILPOINT=reader.rebuilding:%d exec %s "$@"`, step, crashing)}
		s.start()
		out, err := exec.Command(program, "rebuild", "-reader", s.grpc).CombinedOutput()
		if err == nil {
			break // the rebuild has fewer steps
		}
		if err := s.cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("step %d: the process ended with %v:\n%s", step, err, out)
		}
		died++
		s.cmd = nil
		s.logs.Close()
		s.prefix = nil
		s.start()
		eventually(t, fmt.Sprintf("step %d: all products are listed", step), func() bool {
			a := s.call("GET", "/api/v1/products?limit=1", "")
			return a.status == http.StatusOK && int(a.json(t)["total"].(float64)) >= n
		})
	}
	if died < 3 {
		t.Errorf("void: the process died at %d steps only", died)
	}
	if log := s.log(); strings.Contains(log, "search index discarded") {
		t.Errorf("an index was created again:\n%s", log)
	}
	stdout, stderr, code := command(t, "verify", "-reader", s.grpc)
	if code != 0 || !strings.Contains(stdout, "view equal, index equal") {
		t.Errorf("verify exits with %d:\n%s%s", code, stdout, stderr)
	}
}
