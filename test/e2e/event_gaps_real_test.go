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

// leak is a topic of events into which those of another are copied, but for some
// that get lost on the way.
type lossyCopy struct {
	from, to string // topics

	mu       sync.Mutex
	lossless bool
	copied   int
	lost     map[catalog.Position]bool
	followed map[catalog.Position]time.Time // when the record behind a lost one was there
	waiting  map[int32][]catalog.Position   // lost, with no record behind them yet
}

// run copies until ctx ends. Every seventh record is lost.
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

// A reader follows a topic in which records are missing. Each hole is noticed with
// the record behind it and filled from the journal, and nobody is answered what is
// wrong meanwhile.
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

	events := func(env []string) string {
		prefix := ""
		for _, v := range env {
			if value, ok := strings.CutPrefix(v, "CATALOG_KAFKA_TOPIC_PREFIX="); ok {
				prefix = value
			}
		}
		return prefix + ".events"
	}
	l := &lossyCopy{from: events(env), to: events(copied), lost: map[catalog.Position]bool{}, followed: map[catalog.Position]time.Time{}, waiting: map[int32][]catalog.Position{}}
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
	// read reads until the position is there, and answers when that was.
	read := func(id string, version int, at string) (position catalog.Position, there time.Time) {
		positions, err := catalog.ParsePositions(at)
		if err != nil {
			t.Error(err)
			return
		}
		u := uuid.MustParse(id)
		for {
			r, err := client.GetProduct(t.Context(), &catalogv1.GetProductRequest{Id: u[:], Position: wire.PositionToProto(positions[0])})
			switch {
			case status.Code(err) == codes.FailedPrecondition: // behind, and says so
				continue
			case err != nil:
				t.Errorf("product %s at %s: %v", id, at, err)
			default:
				has, text := r.GetProduct().GetVersion(), r.GetProduct().GetData().GetDescription()
				if has < int64(version) || text != fmt.Sprint(has) {
					t.Errorf("product %s at %s is version %d with the text %q, want version %d", id, at, has, text, version)
				}
			}
			return positions[0], time.Now()
		}
	}

	s := &server{t: t, api: "http://" + api}
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		when = map[catalog.Position]time.Time{} // it could be read
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
					position, there := read(id, v, at)
					mu.Lock()
					defer mu.Unlock()
					when[position] = there
				})
			}
		})
	}
	// What was lost last is noticed when something comes behind it, in each shard.
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
	eventually(t, "a record behind every lost one", func() bool {
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
		t.Errorf("void: %d records were lost, and %v holes noticed", len(l.lost), gaps)
	}
	if longest > 10*time.Second {
		t.Errorf("a hole was filled after %v", longest)
	}
	t.Logf("%d of %d records lost, %v holes noticed by view and index, filled after %v at most", len(l.lost), l.copied, gaps, longest)
}
