package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// checkShardStops starts the server and checks that within 15 seconds it logs what
// is wrong and which command repairs it, and is not ready. Then it stops the
// server.
func (s *server) checkShardStops(wrong string, flags ...string) {
	s.t.Helper()
	s.startStopped(wrong, flags...)()
}

// startStopped starts the server as checkShardStops does, and returns it
// instead of stopping it.
func (s *server) startStopped(wrong string, flags ...string) (stop func()) {
	s.t.Helper()
	logs, err := os.Create(s.data + ".stuck")
	if err != nil {
		s.t.Fatal(err)
	}
	c := exec.Command(program, append([]string{"up", "-data", s.data, "-http", strings.TrimPrefix(s.api, "http://"), "-grpc", s.grpc, "-admin", strings.TrimPrefix(s.admin, "http://")}, flags...)...)
	c.Stderr = logs
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		_ = logs.Close()
	})
	s.t.Cleanup(stop)
	var responded time.Time
	eventually(s.t, "the server reports what is wrong", func() bool {
		r, err := http.Get(s.admin + "/readyz")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		if responded.IsZero() {
			responded = time.Now()
		}
		b, _ := os.ReadFile(logs.Name())
		return r.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(b), wrong) && strings.Contains(string(b), "catalog repair")
	})
	if took := time.Since(responded); took > 15*time.Second {
		s.t.Errorf("reported only after %v", took)
	}
	return stop
}

// createProducts creates n products and returns their ids.
func (s *server) createProducts(n int, name string) (ids []string) {
	s.t.Helper()
	for i := range n {
		id, _ := s.create(productWith(fmt.Sprintf(`"sku":"%s-%d"`, name, i)))
		ids = append(ids, id)
	}
	return ids
}

// checkComplete checks that the products exist and can be changed, and that all
// stores are equal.
func (s *server) checkComplete(ids []string) {
	s.t.Helper()
	for _, id := range ids {
		at := s.must(http.StatusOK, "PATCH", "/api/v1/products/"+id, `{"description":"after the repair"}`, "Prefer", "wait=20").header.Get("Catalog-Position")
		p := s.must(http.StatusOK, "GET", "/api/v1/products/"+id, "", "Catalog-Position", at)
		if p.header.Get("ETag") != `"2"` || !strings.Contains(p.body, "after the repair") {
			s.t.Fatalf("product %s = %s; want version 2", id, p.body)
		}
	}
	eventually(s.t, "all products are listed", func() bool {
		return s.must(http.StatusOK, "GET", "/api/v1/products?limit=1", "").json(s.t)["total"] == float64(len(ids))
	})
	if stdout, stderr, code := command(s.t, "verify", "-reader", s.grpc); code != 0 {
		s.t.Fatalf("verify exits with %d:\n%s%s", code, stdout, stderr)
	}
}

// terminate ends the process in an orderly way.
func (s *server) terminate() {
	s.t.Helper()
	if err := s.stop(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
}

// repair runs the repair command, first dry, and checks its output.
func (s *server) repair(want string) {
	s.t.Helper()
	for _, flags := range [][]string{{"-dry-run"}, {"-yes"}} {
		if stdout, stderr, code := command(s.t, append([]string{"repair", "-data", s.data}, flags...)...); code != 0 || !strings.Contains(stdout, want) {
			s.t.Fatalf("repair %s exits with %d:\n%s%s", flags, code, stdout, stderr)
		}
	}
	if stdout, stderr, code := command(s.t, "repair", "-data", s.data, "-yes"); code != 0 || !strings.Contains(stdout, "nothing to repair") {
		s.t.Fatalf("a second repair exits with %d:\n%s%s", code, stdout, stderr)
	}
}

func TestRepair_restoredBackup(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	ids := s.createProducts(20, "KEPT")
	s.terminate()
	backup, err := os.ReadFile(filepath.Join(s.data, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	ids = append(ids, s.createProducts(20, "FORGOTTEN")...)
	s.terminate()
	if err := os.WriteFile(filepath.Join(s.data, "catalog.db"), backup, 0o600); err != nil {
		t.Fatal(err)
	}
	s.checkShardStops("restored to an older state")
	s.repair("copy ")
	s.start()
	s.checkComplete(ids)
}

// TestRepair_cutCommands cuts the topics as a power failure does: they lose the last
// records, and later records get the offsets of the lost ones.
func TestRepair_cutCommands(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	ids := s.createProducts(20, "KEPT")
	s.terminate()
	kafka, cut := filepath.Join(s.data, "kafka"), s.data+".kafka"
	if err := os.CopyFS(cut, os.DirFS(kafka)); err != nil {
		t.Fatal(err)
	}
	s.start()
	ids = append(ids, s.createProducts(100, "SETTLED")...) // several of each shard
	s.terminate()
	if err := errors.Join(os.RemoveAll(kafka), os.Rename(cut, kafka)); err != nil {
		t.Fatal(err)
	}
	kill := s.startStopped("the topic ends at", "-max-backlog-age", "10m")
	for i := range 400 { // the topic grows beyond the offsets of all shards
		id := fmt.Sprintf("01920000-0000-7000-8000-%012d", i)
		s.must(http.StatusAccepted, "PUT", "/api/v1/products/"+id, productWith(fmt.Sprintf(`"sku":"ACCEPTED-%d"`, i)), "Prefer", "respond-async")
		if i%10 == 0 { // every tenth product is enough: a check of all takes long
			ids = append(ids, id)
		}
	}
	kill()
	s.checkShardStops("is stopped until it is repaired")
	s.repair("has lost the records before offset")
	s.start()
	for _, id := range ids {
		at := s.must(http.StatusOK, "PATCH", "/api/v1/products/"+id, `{"description":"after the repair"}`, "Prefer", "wait=20").header.Get("Catalog-Position")
		s.must(http.StatusOK, "GET", "/api/v1/products/"+id, "", "Catalog-Position", at)
	}
	eventually(t, "all products are listed", func() bool {
		return s.must(http.StatusOK, "GET", "/api/v1/products?limit=1", "").json(t)["total"] == float64(20+100+400)
	})
	if stdout, stderr, code := command(t, "verify", "-reader", s.grpc); code != 0 {
		t.Fatalf("verify exits with %d:\n%s%s", code, stdout, stderr)
	}
}

func TestRepair_recreatedTopics(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	ids := s.createProducts(20, "KEPT")
	s.terminate()
	if err := os.RemoveAll(filepath.Join(s.data, "kafka")); err != nil {
		t.Fatal(err)
	}
	s.checkShardStops("recreated")
	s.repair("the topic was recreated")
	s.start()
	s.checkComplete(ids)
}
