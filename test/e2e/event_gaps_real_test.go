//go:build real

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/engine/enginetest/freeport"
	"catalog/internal/wire"
)

// lossyCopy copies one events topic to another and loses some records.
type lossyCopy struct {
	from, to string // topics

	mu       sync.Mutex
	lossless bool
	copied   int
	lost     map[catalog.Position]bool
	followed map[catalog.Position]time.Time // when the record after a lost one was copied
	waiting  map[int32][]catalog.Position   // positions that are lost, without a later record yet
}

// run copies until ctx ends. It loses every seventh record.
func (l *lossyCopy) run(ctx context.Context, t *testing.T) {
	client, err := kgo.NewClient(kgo.SeedBrokers(os.Getenv("CATALOG_TEST_KAFKA_BROKERS")), kgo.ConsumeTopics(l.from),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		t.Error(err)
		return
	}
	defer client.Close()
	for ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			e, err := wire.DecodeEvent(r.Value)
			if err != nil {
				t.Error(err)
				return
			}
			l.mu.Lock()
			l.copied++
			if l.copied%7 == 0 && !l.lossless {
				l.lost[e.Position] = true
				l.waiting[e.Shard] = append(l.waiting[e.Shard], e.Position)
				l.mu.Unlock()
				return
			}
			l.mu.Unlock()
			copied := &kgo.Record{Topic: l.to, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
			if err := client.ProduceSync(ctx, copied).FirstErr(); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			for _, p := range l.waiting[e.Shard] {
				l.followed[p] = time.Now()
			}
			delete(l.waiting, e.Shard)
		})
	}
}

// TestEventGaps has a reader consume a topic with missing records. The reader
// detects each gap with the next record and fills it from the journal; no read
// returns an old product in the meantime.
func TestEventGaps(t *testing.T) {
	const products, versions = 20, 15
	env, copied := engineEnv(t), engineEnv(t)
	migrate(t, env)
	migrate(t, copied)
	writers, readers, leaky, api := freeport.Address(), freeport.Address(), freeport.Address(), freeport.Address()
	startProcess(t, env, "writer", "-grpc", writers)
	startProcess(t, env, "reader", "-grpc", readers, "-writer", writers, "-index", filepath.Join(t.TempDir(), "index"))
	startProcess(t, env, "gateway", "-http", api, "-writer", writers, "-reader", readers)
	reader := startProcess(t, copied, "reader", "-grpc", leaky, "-writer", writers, "-index", filepath.Join(t.TempDir(), "index"))

	l := &lossyCopy{from: eventsTopic(env), to: eventsTopic(copied), lost: map[catalog.Position]bool{}, followed: map[catalog.Position]time.Time{}, waiting: map[int32][]catalog.Position{}}
	ctx, stop := context.WithCancel(t.Context())
	var copying sync.WaitGroup
	copying.Go(func() { l.run(ctx, t) })
	defer func() { stop(); copying.Wait() }()

	conn, err := grpc.NewClient(leaky, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := catalogv1.NewReaderServiceClient(conn)
	s := &server{t: t, api: "http://" + api}
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		when = map[catalog.Position]time.Time{} // when the position could be read
	)
	for range products {
		all.Go(func() {
			id, at := s.create(productWith(`"description":"1"`))
			for v := 1; v <= versions; v++ {
				if v > 1 {
					at = s.must(http.StatusOK, "PATCH", "/api/v1/products/"+id, fmt.Sprintf(`{"description":"%d"}`, v)).header.Get("Catalog-Position")
				}
				at := at
				all.Go(func() {
					position, there := readAt(t, client, id, v, at)
					mu.Lock()
					defer mu.Unlock()
					when[position] = there
				})
			}
		})
	}
	// A gap at the end of a shard is detected with the next record, so write more.
	last := 0
	written := make(chan struct{})
	go func() { all.Wait(); close(written) }()
	for done := false; !done; {
		select {
		case <-written:
			done = true
		case <-time.After(200 * time.Millisecond):
			s.create(productWith(`"description":"1"`))
			last++
		}
	}
	l.mu.Lock()
	l.lossless = true
	l.mu.Unlock()
	eventually(t, "there is a record after each lost one", func() bool {
		s.create(productWith(`"description":"1"`))
		last++
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.waiting) == 0
	})
	checkReadersEqual(t, products+last, leaky)

	l.mu.Lock()
	defer l.mu.Unlock()
	gaps, longest := reader.metric("catalog_reader_gaps_total"), time.Duration(0)
	for p := range l.lost {
		if there, ok := when[p]; ok {
			longest = max(longest, there.Sub(l.followed[p]))
		}
	}
	if len(l.lost) < products || gaps < products {
		t.Errorf("void: %d records lost, %v gaps detected", len(l.lost), gaps)
	}
	if longest > 30*time.Second {
		t.Errorf("a gap was filled only after %v", longest)
	}
	t.Logf("%d of %d records lost, %v gaps detected by view and index, filled after %v at most", len(l.lost), l.copied, gaps, longest)
}

// readAt repeats a read until the reader has reached the position, and returns
// when that was.
func readAt(t *testing.T, client catalogv1.ReaderServiceClient, id string, version int, at string) (position catalog.Position, there time.Time) {
	positions, err := catalog.ParsePositions(at)
	if err != nil {
		t.Error(err)
		return
	}
	u := uuid.MustParse(id)
	for {
		r, err := client.GetProduct(t.Context(), &catalogv1.GetProductRequest{Id: u[:], Position: wire.PositionToProto(positions[0])})
		switch {
		case status.Code(err) == codes.FailedPrecondition: // the position is not reached yet
			continue
		case err != nil:
			t.Errorf("product %s at %s: %v", id, at, err)
		default:
			has, text := r.GetProduct().GetVersion(), r.GetProduct().GetData().GetDescription()
			if has < int64(version) || text != fmt.Sprint(has) {
				t.Errorf("product %s at %s = version %d, description %q; want version %d", id, at, has, text, version)
			}
		}
		return positions[0], time.Now()
	}
}

// eventsTopic returns the events topic of a system with this environment.
func eventsTopic(env []string) string {
	for _, v := range env {
		if prefix, ok := strings.CutPrefix(v, "CATALOG_KAFKA_TOPIC_PREFIX="); ok {
			return prefix + ".events"
		}
	}
	return ""
}
