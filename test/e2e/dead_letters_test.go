package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fakeBroker starts a broker in this process, and returns its address and a client that
// appends to any partition.
func fakeBroker(t *testing.T) (address string, client *kgo.Client) {
	t.Helper()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	address = broker.ListenAddrs()[0]
	client, err = kgo.NewClient(kgo.SeedBrokers(address), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return address, client
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	const letters, products, partitions = 100, 10_000, 4
	broker, client := fakeBroker(t)
	flags := []string{"-kafka.brokers", broker, "-kafka.partitions", strconv.Itoa(partitions), "-kafka.replicas", "1"}
	s := up(t, dataDir(t), flags...)

	var rows strings.Builder
	for i := range products {
		fmt.Fprintf(&rows, `{"sku":"ROW-%d","name":"Chair","price":{"amount":"%d","currency":"EUR"}}`+"\n", i, i)
	}
	file := filepath.Join(t.TempDir(), "rows.ndjson")
	if err := os.WriteFile(file, []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	imported := make(chan string, 1)
	go func() {
		stdout, stderr, _ := command(t, "import", "-server", s.api, file)
		imported <- stdout + stderr
	}()
	for i := range letters {
		if i == letters/2 { // dead letters that were being published must be in the topic once
			eventually(t, "the import is under way", func() bool { return s.settledCommands() > 500 })
			_ = s.stop(syscall.SIGKILL)
			s.start(flags...)
		}
		junk := &kgo.Record{Topic: "catalog.commands", Partition: int32(i % partitions), Value: fmt.Appendf(nil, "junk %d", i)}
		if err := client.ProduceSync(t.Context(), junk).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if summary := <-imported; !strings.Contains(summary, fmt.Sprintf("%d rows: ", products)) || !strings.Contains(summary, " 0 refused") {
		t.Fatalf("import =\n%s", summary)
	}
	eventually(t, "all products are found", func() bool {
		return s.must(http.StatusOK, "GET", "/api/v1/products?limit=1", "").json(t)["total"] == float64(products)
	})

	t.Run("each dead letter is listed once, with its cause", func(t *testing.T) {
		var list string
		eventually(t, "all dead letters are listed", func() bool {
			list, _, _ = command(t, "dead-letters", "list", "-writer", s.grpc, "-limit", "1000")
			return strings.Count(list, "decode command") >= letters
		})
		if n := strings.Count(list, "decode command"); n != letters {
			t.Errorf("%d dead letters, want %d:\n%s", n, letters, list)
		}
	})
	t.Run("each dead letter is in the topic once", func(t *testing.T) {
		admin := kadm.NewClient(client)
		count := func() (n int64) {
			ends, err := admin.ListEndOffsets(t.Context(), "catalog.dead-letters")
			if err != nil {
				t.Fatal(err)
			}
			ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
			return n
		}
		eventually(t, "all dead letters are in the topic", func() bool { return count() >= letters })
		if n := count(); n != letters {
			t.Errorf("the topic has %d dead letters, want %d", n, letters)
		}
	})
	t.Run("a replay does not send records that still cannot be decoded", func(t *testing.T) {
		for range 2 {
			if stdout, stderr, code := command(t, "dead-letters", "replay", "-all", "-writer", s.grpc); code == 0 || strings.Count(stdout, "cannot be decoded") != letters {
				t.Fatalf("replay exits with %d:\n%s%s", code, stdout, stderr)
			}
		}
	})
	if stdout, stderr, code := command(t, "verify", "-reader", s.grpc); code != 0 {
		t.Errorf("verify exits with %d:\n%s%s", code, stdout, stderr)
	}
}
