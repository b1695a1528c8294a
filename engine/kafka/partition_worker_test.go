package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"catalog"
	"catalog/eventlog"
)

func TestPartitionWorker(t *testing.T) { runBrokerTests(t, fakeBroker(t), workerTests) }

var workerTests = []brokerTest{
	{"a shard starts at the offset that Begin returns", startsAtOffset},
	{"records that arrive during Handle are handled together", batchesGrow},
	{"no record is lost or reordered when the buffer is full", bufferIsFull},
	{"a failed batch is retried with the same records", batchIsRetried},
	{"a fenced shard restarts at the offset that Begin returns", fencedShardRestarts},
	{"a failed Begin is retried until the consumer stops", beginIsRetried},
	{"a Handle in progress may finish after the shard is revoked", handleFinishes},
	{"an undecodable event is passed as a dead letter", undecodableEvent},
}

func startsAtOffset(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	for i := range int64(10) {
		publish(t, l, event(1, i+1))
	}
	c := newRecorder[catalog.Event]()
	c.begin = func(_ context.Context, shard int32) (int64, error) {
		if shard == 1 {
			return 7, nil
		}
		return 0, nil
	}
	start(t, c, l.ConsumeEvents)
	c.wait(t, "3 events", func() bool { return c.total() == 3 })
	if got := c.items[1][0].Seq; got != 8 {
		t.Errorf("seq of the first event = %d, want 8", got)
	}
}

func batchesGrow(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	c := newRecorder[catalog.Command]()
	busy, proceed := make(chan struct{}, 10), make(chan struct{})
	c.handle = func(context.Context, eventlog.Records[catalog.Command]) error {
		busy <- struct{}{}
		<-proceed
		return nil
	}
	start(t, c, l.ConsumeCommands)
	send(t, l, command(0, 0))
	<-busy
	for i := range 50 {
		send(t, l, command(i+1, 0))
	}
	close(proceed)
	c.wait(t, "51 commands", func() bool { return c.total() == 51 })
	if len(c.batches) > 10 {
		t.Errorf("51 commands, 50 of them sent during the first Handle, came in batches of %v; want at most 10 batches", c.batches)
	}
}

func bufferIsFull(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	n := int64(3 * maxBufferRecords)
	var events []catalog.Event
	for i := range n {
		events = append(events, event(2, i+1))
	}
	publish(t, l, events...)
	c := newRecorder[catalog.Event]()
	proceed := make(chan struct{})
	c.handle = func(context.Context, eventlog.Records[catalog.Event]) error { <-proceed; return nil }
	start(t, c, func(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
		return l.ConsumeAllShards(ctx, "test", c)
	})
	c.wait(t, "Begin of all shards", func() bool { return c.activeShards() == shards })
	publish(t, l, event(3, 1)) // while the buffer of shard 2 is full
	close(proceed)
	c.wait(t, "all events", func() bool { return c.total() == int(n)+1 })
	for i, e := range c.items[2] {
		if e.Seq != int64(i)+1 {
			t.Fatalf("seq of event %d = %d, want %d", i, e.Seq, i+1)
		}
	}
	if longest := slices.Max(c.batches); longest > maxBatchRecords {
		t.Errorf("largest batch has %d records, want at most %d", longest, maxBatchRecords)
	}
}

func batchIsRetried(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	c := newRecorder[catalog.Command]()
	tries := 0
	c.handle = func(context.Context, eventlog.Records[catalog.Command]) error {
		if tries++; tries < 4 {
			return errors.New("store unreachable")
		}
		return nil
	}
	start(t, c, l.ConsumeCommands)
	send(t, l, command(1, 1), command(2, 1))
	c.wait(t, "2 commands", func() bool { return c.total() == 2 })
	handled := c.handled()
	if len(slices.Compact(slices.Clone(handled[:4]))) != 1 {
		t.Errorf("calls of Handle = %v; want the first four to be equal", handled)
	}
	if n := len(l.logs.lines("level=WARN", "store unreachable")); n != 1 {
		t.Errorf("%d warnings for one failure, want 1", n)
	}
}

func fencedShardRestarts(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	for i := range int64(20) {
		publish(t, l, event(0, i+1))
	}
	c := newRecorder[catalog.Event]()
	var mu sync.Mutex
	begins := 0
	c.begin = func(_ context.Context, shard int32) (int64, error) {
		mu.Lock()
		defer mu.Unlock()
		if shard != 0 {
			return 0, nil
		}
		begins++
		return []int64{15, 3, 18}[begins-1], nil // the offset moves backward, then forward
	}
	fenced := map[int64]bool{}
	c.handle = func(_ context.Context, r eventlog.Records[catalog.Event]) error {
		if (r.From == 15 || r.From == 3) && !fenced[r.From] {
			fenced[r.From] = true
			return fmt.Errorf("in the store: %w", catalog.ErrFenced)
		}
		return nil
	}
	stop := start(t, c, l.ConsumeEvents)
	c.wait(t, "2 events", func() bool { return len(c.items[0]) == 2 })
	stop()
	if got := []int64{c.items[0][0].Seq, c.items[0][1].Seq}; !slices.Equal(got, []int64{19, 20}) {
		t.Errorf("seqs of the events = %v, want 19 and 20", got)
	}
}

func beginIsRetried(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	c := newRecorder[catalog.Command]()
	c.begin = func(context.Context, int32) (int64, error) { return 0, errors.New("store unreachable") }
	stop := start(t, c, l.ConsumeCommands)
	c.wait(t, "3 calls of Begin for each shard", func() bool {
		for shard := range shards {
			if c.count(fmt.Sprint("begin ", shard)) < 3 {
				return false
			}
		}
		return true
	})
	stop()
	if n := len(l.logs.lines("store unreachable")); n != shards {
		t.Errorf("%d log lines for %d shards that cannot begin, want one for each", n, shards)
	}
}

func handleFinishes(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	c := newRecorder[catalog.Command]()
	handling, proceed := make(chan struct{}), make(chan struct{})
	c.handle = func(ctx context.Context, _ eventlog.Records[catalog.Command]) error {
		close(handling)
		<-proceed
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.ConsumeCommands(ctx, c) }()
	send(t, l, command(1, 1))
	<-handling
	cancel()
	select {
	case <-done:
		t.Error("ConsumeCommands returned before Handle")
	case proceed <- struct{}{}:
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c.total() != 1 {
		t.Error("the context of Handle ended when the shard was revoked")
	}
	c.check(t)
}

func undecodableEvent(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	publish(t, l, event(1, 1))
	produce(t, l, "events", 1, nil, []byte("junk"))
	publish(t, l, event(1, 2))
	c := newRecorder[catalog.Event]()
	var letters atomic.Int64
	c.handle = func(_ context.Context, r eventlog.Records[catalog.Event]) error {
		letters.Add(int64(len(r.DeadLetters)))
		return nil
	}
	start(t, c, l.ConsumeEvents)
	c.wait(t, "2 events of shard 1", func() bool { return len(c.items[1]) == 2 })
	if n := letters.Load(); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
	if lines := l.logs.lines("level=ERROR"); len(lines) != 0 {
		t.Errorf("errors logged: %v; want none, the consumer decides", lines)
	}
}

// keeper is a consumer that keeps its position, and the identity of the last record,
// over sessions, as the writer does.
type keeper struct {
	*recorder[catalog.Command]
	mu   sync.Mutex
	next int64
	last eventlog.RecordID
	lost []string

	letters int
}

func (k *keeper) position() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next
}

func newKeeper() *keeper {
	k := &keeper{recorder: newRecorder[catalog.Command]()}
	k.recorder.begin = func(context.Context, int32) (int64, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.next, nil
	}
	k.recorder.handle = func(_ context.Context, r eventlog.Records[catalog.Command]) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.next, k.last = r.To, eventlog.RecordID{}
		if n := len(r.IDs); n > 0 {
			k.last = r.IDs[n-1]
		}
		k.letters += len(r.DeadLetters)
		return nil
	}
	return k
}

func (k *keeper) LastRecord(int32) eventlog.RecordID {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}

func (k *keeper) RecordsLost(_ context.Context, _ int32, cause error) error {
	k.recorder.update(func() { k.lost = append(k.lost, cause.Error()) })
	return nil
}

// repeater is a consumer that drops repeats, as a reader does.
type repeater struct {
	*recorder[catalog.Event]
	seqs    []int64
	next    int64 // offset of shard 0
	letters int
}

// newRepeater returns a repeater that keeps its position of shard 0.
func newRepeater() *repeater {
	r := &repeater{recorder: newRecorder[catalog.Event]()}
	r.begin = func(_ context.Context, shard int32) (next int64, err error) {
		if shard == 0 {
			r.update(func() { next = r.next })
		}
		return next, nil
	}
	return r
}

func (r *repeater) DropsRepeats() {}

func (r *repeater) Handle(_ context.Context, records eventlog.Records[catalog.Event]) error {
	r.update(func() {
		for _, e := range records.Items {
			r.seqs = append(r.seqs, e.Seq)
		}
		r.letters += len(records.DeadLetters)
		if records.Shard == 0 {
			r.next = records.To
		}
	})
	return nil
}

func TestPartitionWorker_repeats(t *testing.T) {
	cluster := newCluster(t)
	l := openLog(t, testConfig(t, cluster.ListenAddrs()[0]))
	publish(t, l, event(1, 1), event(1, 2), event(1, 3))
	r := &repeater{recorder: newRecorder[catalog.Event]()}
	r.begin = func(_ context.Context, shard int32) (int64, error) {
		if shard == 1 {
			return 3, nil
		}
		return 0, nil
	}
	start(t, r.recorder, func(ctx context.Context, _ eventlog.Consumer[catalog.Event]) error {
		return l.ConsumeAllShards(ctx, "test", r)
	})
	r.wait(t, "the record before the offset of Begin", func() bool { return slices.Equal(r.seqs, []int64{3}) })
	cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		return nil, errors.New("the broker is killed"), true // once: ends the connection
	})
	r.wait(t, "it again after a lost connection", func() bool { return slices.Equal(r.seqs, []int64{3, 3}) })
	publish(t, l, event(1, 4))
	r.wait(t, "the next record", func() bool { return slices.Equal(r.seqs, []int64{3, 3, 4}) })
}

// TestPartitionWorker_lastRecord uses a log of one shard.
func TestPartitionWorker_lastRecord(t *testing.T) {
	newLog := func(t *testing.T) testLog { return openShardLog(t, fakeBroker(t)) }
	sendN := func(t *testing.T, l testLog, from, to int) {
		for i := from; i < to; i++ {
			send(t, l, command(i, i))
		}
	}
	t.Run("a shard continues after the record that was handled last", func(t *testing.T) {
		l, k := newLog(t), newKeeper()
		sendN(t, l, 0, 5)
		stop := start(t, k.recorder, func(ctx context.Context, _ eventlog.Consumer[catalog.Command]) error {
			return l.ConsumeCommands(ctx, k)
		})
		k.wait(t, "5 commands", func() bool { return k.total() == 5 })
		stop()
		sendN(t, l, 5, 8)
		start(t, k.recorder, func(ctx context.Context, _ eventlog.Consumer[catalog.Command]) error {
			return l.ConsumeCommands(ctx, k)
		})
		k.wait(t, "3 more commands", func() bool { return k.total() == 8 })
		if len(k.lost) > 0 {
			t.Errorf("records reported as lost: %v", k.lost)
		}
	})
	for _, c := range []struct {
		name string
		last func(r eventlog.RecordID) eventlog.RecordID
	}{
		{"another record at the offset of the last one stops the shard", func(r eventlog.RecordID) eventlog.RecordID {
			r.Digest[3]++
			return r
		}},
		{"a shard of which all records were replaced stops, whatever the epoch", func(r eventlog.RecordID) eventlog.RecordID {
			return eventlog.RecordID{Offset: r.Offset, Epoch: -1, Digest: [16]byte{9}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, k := newLog(t), newKeeper()
			sendN(t, l, 0, 5)
			stop := start(t, k.recorder, func(ctx context.Context, _ eventlog.Consumer[catalog.Command]) error {
				return l.ConsumeCommands(ctx, k)
			})
			k.wait(t, "5 commands", func() bool { return k.total() == 5 })
			stop()
			k.last = c.last(k.last)
			sendN(t, l, 5, 30)
			start(t, k.recorder, func(ctx context.Context, _ eventlog.Consumer[catalog.Command]) error {
				return l.ConsumeCommands(ctx, k)
			})
			k.wait(t, "the report of the loss", func() bool { return len(k.lost) > 0 })
			if k.total() != 5 || !strings.Contains(k.lost[0], "catalog repair") {
				t.Errorf("%d commands handled, reported %q; want 5, and an error that names catalog repair", k.total(), k.lost[0])
			}
		})
	}
	t.Run("the record that was handled last may be deleted by retention", func(t *testing.T) {
		l, k := newLog(t), newKeeper()
		sendN(t, l, 0, 5)
		stop := start(t, k.recorder, func(ctx context.Context, _ eventlog.Consumer[catalog.Command]) error {
			return l.ConsumeCommands(ctx, k)
		})
		k.wait(t, "5 commands", func() bool { return k.total() == 5 })
		stop()
		var until kadm.Offsets
		until.AddOffset(l.topic("commands"), 0, 5, -1)
		if deleted, err := l.admin.DeleteRecords(t.Context(), until); errors.Join(err, deleted.Error()) != nil {
			t.Fatal(err, deleted.Error())
		}
		sendN(t, l, 5, 8)
		start(t, k.recorder, func(ctx context.Context, _ eventlog.Consumer[catalog.Command]) error {
			return l.ConsumeCommands(ctx, k)
		})
		k.wait(t, "3 more commands", func() bool { return k.total() == 8 })
	})
}
