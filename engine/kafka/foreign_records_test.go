package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/eventlog"
)

// foreignTests are tests of what another program can write to the topics of this system.
var foreignTests = []brokerTest{
	{"a shard gets past the markers of transactions", shardPassesTransactions},
	{"a shard gets past a batch that is larger than any of this system", shardPassesLargeBatch},
	{"the last event is found before markers, large batches and records that are no events", lastSeqPassesForeignRecords},
}

func TestForeignRecords(t *testing.T) { runBrokerTests(t, fakeBroker(t), foreignTests) }

// foreign writes records to the topics of a log of one shard, as another program does.
type foreign struct {
	t testing.TB
	l testLog
}

func (f foreign) client(opts ...kgo.Opt) *kgo.Client {
	f.t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(f.l.cfg.Brokers), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.Close)
	return c
}

// transaction writes a record in a transaction, of which a marker is the last record.
func (f foreign) transaction(topic string) {
	f.t.Helper()
	c := f.client(kgo.TransactionalID(fmt.Sprint("foreign-", time.Now().UnixNano())))
	if err := c.BeginTransaction(); err != nil {
		f.t.Fatal(err)
	}
	err := c.ProduceSync(f.t.Context(), &kgo.Record{Topic: f.l.topic(topic), Value: []byte("junk")}).FirstErr()
	if err := errors.Join(err, c.EndTransaction(f.t.Context(), kgo.TryCommit)); err != nil {
		f.t.Fatal(err)
	}
}

// largeBatch writes a batch that is small until it is decompressed.
func (f foreign) largeBatch(topic string) {
	f.t.Helper()
	c := f.client(kgo.ProducerBatchMaxBytes(32<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerLinger(time.Second))
	var records []*kgo.Record
	for range 20 {
		records = append(records, &kgo.Record{Topic: f.l.topic(topic), Value: make([]byte, 1<<20)})
	}
	if err := c.ProduceSync(f.t.Context(), records...).FirstErr(); err != nil {
		f.t.Fatal(err)
	}
}

func (f foreign) junk(topic string, n int) {
	f.t.Helper()
	c := f.client()
	for range n {
		c.Produce(f.t.Context(), &kgo.Record{Topic: f.l.topic(topic), Value: []byte("junk")}, nil)
	}
	if err := c.Flush(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

func (f foreign) end(topic string) int64 {
	f.t.Helper()
	_, ends, err := f.l.offsets(f.t.Context(), f.l.topic(topic))
	if err != nil {
		f.t.Fatal(err)
	}
	return ends[0]
}

// passes checks that consumers of commands and events get to the end of the topics after
// write, also when they start again there, and handle what comes after.
func passes(t *testing.T, brokers string, write func(f foreign, topic string)) {
	l := openShardLog(t, brokers)
	f := foreign{t, l}
	send(t, l, command(0, 0))
	publish(t, l, event(0, 1))
	commands, events := newKeeper(), newRepeater()
	consume := func() (stop func()) {
		stopCommands := start(t, commands.recorder, func(ctx context.Context, _ eventlog.Consumer[catalog.Command]) error {
			return l.ConsumeCommands(ctx, commands)
		})
		stopEvents := start(t, events.recorder, func(ctx context.Context, _ eventlog.Consumer[catalog.Event]) error {
			return l.ConsumeAllShards(ctx, "test", events)
		})
		return func() { stopCommands(); stopEvents() }
	}
	waitForEnds := func() {
		t.Helper()
		end := f.end("commands")
		commands.wait(t, "the end of the commands", func() bool { return commands.position() == end })
		end = f.end("events")
		events.wait(t, "the end of the events", func() bool { return events.next == end })
	}
	stop := consume()
	waitForEnds()
	write(f, "commands")
	write(f, "events")
	waitForEnds()
	stop()
	stop = consume()
	send(t, l, command(1, 1))
	publish(t, l, event(0, 2))
	waitForEnds()
	stop()
	if n := len(commands.items[0]); n != 2 || commands.letters != 1 || len(commands.lost) > 0 {
		t.Errorf("%d commands and %d dead letters, want 2 and 1; reported as lost: %v", n, commands.letters, commands.lost)
	}
	if !slices.Equal(slices.Compact(events.seqs), []int64{1, 2}) || events.letters == 0 {
		t.Errorf("events %v and %d dead letters, want events 1 and 2, and a dead letter", events.seqs, events.letters)
	}
}

func shardPassesTransactions(t *testing.T, brokers string) { passes(t, brokers, foreign.transaction) }

func shardPassesLargeBatch(t *testing.T, brokers string) { passes(t, brokers, foreign.largeBatch) }

func lastSeqPassesForeignRecords(t *testing.T, brokers string) {
	l := openShardLog(t, brokers)
	f := foreign{t, l}
	publish(t, l, event(0, 1), event(0, 2))
	f.junk("events", 5_000)
	f.largeBatch("events")
	f.junk("events", 1)
	f.transaction("events")
	if seq, err := l.LastSeq(t.Context(), 0, 0); seq != 2 || err != nil {
		t.Errorf("LastSeq = %d, %v; want 2", seq, err)
	}
}

// TestLastRecord_interrupted interrupts each search after some records, as a deadline does.
func TestLastRecord_interrupted(t *testing.T) {
	l := openShardLog(t, fakeBroker(t))
	f := foreign{t, l}
	publish(t, l, event(0, 1))
	const junk, perCall, most = 20_000, 2_000, 100
	f.junk("events", junk)
	read, calls := 0, 0
	for found := false; !found; {
		if calls++; calls > most {
			t.Fatalf("%d calls have read %d records and found no event", most, read)
		}
		ctx, cancel := context.WithCancel(t.Context())
		left := perCall
		last, ok, _, err := lastRecord(ctx, l.Log, "events", 0, 0, func(r *kgo.Record) (catalog.Event, error) {
			read++
			if left--; left == 0 {
				cancel()
			}
			return l.decodeEvent(r)
		})
		cancel()
		found = err == nil
		switch {
		case found && (!ok || last.Seq != 1):
			t.Errorf("event %d, %v; want 1", last.Seq, ok)
		case !found:
			f.junk("events", 1) // the topic grows meanwhile
		}
	}
	if calls == 1 || read > 3*junk {
		t.Errorf("%d calls have read %d records; want several calls, which do not begin again", calls, read)
	}
	if len(l.logs.lines("invalid records at the end of a topic skipped", "shard=0")) != 1 {
		t.Error("the records are not reported")
	}
}
