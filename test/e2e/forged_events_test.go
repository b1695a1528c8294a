package e2e

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/internal/wire"
)

// TestForgedEvents writes events to the events topic that no writer has
// settled.
func TestForgedEvents(t *testing.T) {
	t.Parallel()
	broker, client := fakeBroker(t)
	const shards = 2
	flags := []string{"-kafka.brokers", broker, "-kafka.partitions", "2", "-kafka.replicas", "1"}
	s := up(t, dataDir(t), flags...)
	ids := 0
	newID := func() catalog.ID {
		ids++
		return catalog.DerivedID("forged", strconv.Itoa(ids))
	}
	produce := func(partition int32, value []byte) {
		t.Helper()
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "catalog.events", Partition: partition, Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	forge := func(shard int32, seq int64, product catalog.Product) {
		t.Helper()
		b, err := wire.EncodeEvent(catalog.Event{
			Position: catalog.Position{Shard: shard, Seq: seq}, Outcome: catalog.Changed, Product: product,
			Command: newID(), AcceptedAt: time.Now(), SettledAt: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		produce(shard, b)
	}
	product := func(shard int32) catalog.Product {
		p := catalog.Product{ID: newID(), Version: 1_000_000, ProductData: catalog.ProductData{Name: "Forged", Price: catalog.Money{Decimal: catalog.Decimal{Units: 1}, Currency: "EUR"}}}
		for catalog.Shard(p.ID, shards) != shard {
			p.ID = newID()
		}
		return p
	}
	logged := func(words ...string) bool {
		for line := range strings.Lines(s.log()) {
			all := true
			for _, w := range words {
				all = all && strings.Contains(line, w)
			}
			if all {
				return true
			}
		}
		return false
	}
	readsItsWrites := func(t *testing.T, n int) {
		t.Helper()
		for range n {
			id, at := s.create(productWith(`"description":"genuine"`))
			s.must(http.StatusOK, "GET", "/api/v1/products/"+id, "", "Catalog-Position", at)
			s.must(http.StatusOK, "GET", "/api/v1/products?q=genuine", "", "Catalog-Position", at)
		}
	}
	ready := func(t *testing.T) {
		t.Helper()
		r, err := http.Get(s.admin + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Errorf("/readyz = %d, want 200", r.StatusCode)
		}
	}

	t.Run("a seq far ahead is skipped, also as the first event of a shard", func(t *testing.T) {
		eventually(t, "the writer owns the shards", func() bool { return logged("shards taken over", `"count":2`) })
		for shard := range int32(shards) {
			forge(shard, 1_000_000, product(shard))
		}
		eventually(t, "both consumers report the events", func() bool {
			return logged("invalid events skipped", `"consumer":"view"`, `"shard":1`) && logged("invalid events skipped", `"consumer":"index"`, `"shard":0`)
		})
		readsItsWrites(t, 6)
		ready(t)
	})
	t.Run("records that are no events, or are in another partition, are skipped", func(t *testing.T) {
		for shard := range int32(shards) {
			produce(shard, []byte("junk"))
			produce(shard, nil)
			forge(1-shard, 3, product(shard)) // an event of a product of the other shard
		}
		b, err := wire.EncodeEvent(catalog.Event{Position: catalog.Position{Shard: 1, Seq: 2}, Outcome: catalog.Changed, Product: product(1), Command: newID(), AcceptedAt: time.Now(), SettledAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		produce(0, b)
		readsItsWrites(t, 6)
		ready(t)
	})
	t.Run("a shard whose last event is forged stops at a restart and goes on after catalog repair", func(t *testing.T) {
		if err := s.stop(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		forge(0, 2_000_000, product(0))
		forge(1, 2_000_000, product(1))
		produce(1, []byte("junk"))
		s.checkShardStops("restored to an older state", flags...)
		for _, last := range []string{"-dry-run", "-yes"} {
			stdout, stderr, code := command(t, append([]string{"repair", "-data", s.data, last}, "-kafka.brokers", broker)...)
			if code != 0 || strings.Count(stdout, "that do not continue the journal") != shards {
				t.Fatalf("repair %s exits with %d:\n%s%s", last, code, stdout, stderr)
			}
		}
		s.start(flags...)
		readsItsWrites(t, 6)
		ready(t)
	})
	if stdout, stderr, code := command(t, "verify", "-reader", s.grpc); code != 0 {
		b, _ := os.ReadFile(s.data + ".log")
		t.Errorf("verify exits with %d:\n%s%s\n%s", code, stdout, stderr, b)
	}
}
