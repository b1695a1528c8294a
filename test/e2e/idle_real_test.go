//go:build real

package e2e

import (
	"bufio"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// metric returns a metric of the process, summed over its labels.
func (p *process) metric(name string) (sum float64) {
	p.t.Helper()
	r, err := http.Get(p.admin + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	found := false
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, name); !ok || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			p.t.Fatal(err)
		}
		found, sum = true, sum+v
	}
	if !found {
		p.t.Fatalf("%s has no metric %s", p.name, name)
	}
	return sum
}

func TestIdle(t *testing.T) {
	system := startCluster(t)
	_, at := system.gateway(0).create(chair)
	system.gateway(1).must(http.StatusOK, "GET", "/api/v1/products?limit=1", "", "Catalog-Position", at)

	client, err := kgo.NewClient(kgo.SeedBrokers(os.Getenv("CATALOG_TEST_KAFKA_BROKERS")))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var topics []string
	for _, v := range system.env {
		if prefix, ok := strings.CutPrefix(v, "CATALOG_KAFKA_TOPIC_PREFIX="); ok {
			topics = []string{prefix + ".commands", prefix + ".events", prefix + ".dead-letters"}
		}
	}
	records := func() (n int64) {
		t.Helper()
		ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), topics...)
		if err != nil {
			t.Fatal(err)
		}
		ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
		return n
	}
	const writers, seconds = 2, 15.0 // the first two processes are the writers
	measure := func() (q, c []float64) {
		for i, p := range system.processes {
			if i < writers {
				q = append(q, p.metric("db_client_connection_wait_time_seconds_count"))
			}
			c = append(c, p.metric("process_cpu_seconds_total"))
		}
		return q, c
	}
	before := records()
	queries, cpu := measure()
	<-time.After(seconds * time.Second)
	queriesAfter, cpuAfter := measure()
	if n := records() - before; n != 0 {
		t.Errorf("%d records were written", n)
	}
	for i := range writers {
		if rate := (queriesAfter[i] - queries[i]) / seconds; rate > 1 {
			t.Errorf("writer %d queries PostgreSQL %.1f times a second", i, rate)
		}
	}
	for i, p := range system.processes {
		share := (cpuAfter[i] - cpu[i]) / seconds
		t.Logf("%s: %.2f %% of a core", p.name, 100*share)
		if share > 0.03 { // the promise is 0.01 on an idle machine
			t.Errorf("%s uses %.1f %% of a core", p.name, 100*share)
		}
	}
}
