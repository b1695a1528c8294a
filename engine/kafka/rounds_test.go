package kafka

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// fakeProducer is a client whose records are stored when the test says so.
type fakeProducer struct {
	rounds *rounds
	leader map[int32]int32 // broker by partition
	handed []outgoing      // records that the client got, in order
}

func newFakeProducer() *fakeProducer {
	f := &fakeProducer{leader: map[int32]int32{}}
	f.rounds = &rounds{
		produce: func(r *kgo.Record, done func(*kgo.Record, error)) { f.handed = append(f.handed, outgoing{r, done}) },
		leader:  func(p partition) int32 { return f.leader[p.number] },
		busy:    map[int32]*round{},
	}
	return f
}

// send sends a record to each of the partitions, and waits until rounds is idle.
func (f *fakeProducer) send(partitions ...int32) {
	for _, p := range partitions {
		f.rounds.send(outgoing{&kgo.Record{Partition: p}, func(*kgo.Record, error) {}})
	}
	synctest.Wait()
}

// end ends all records that were handed to the client, and returns their partitions.
func (f *fakeProducer) end(err error) (partitions []int32) {
	handed := f.handed
	f.handed = nil
	for _, o := range handed {
		partitions = append(partitions, o.record.Partition)
		o.done(o.record, err)
	}
	synctest.Wait()
	return partitions
}

func TestRounds(t *testing.T) {
	want := func(t *testing.T, got []int32, want ...int32) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("the client has records of the partitions %v, want %v", got, want)
		}
	}
	test := func(name string, f func(*testing.T, *fakeProducer)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, newFakeProducer()) }) })
	}
	test("records that arrive while a round is on its way go together in the next one", func(t *testing.T, f *fakeProducer) {
		f.send(5)
		f.send(3)
		f.send(1, 3)
		want(t, f.end(nil), 5)
		f.send(2)
		want(t, f.end(errors.New("refused")), 3, 1, 3)
		want(t, f.end(nil), 2)
		f.send(4)
		want(t, f.end(nil), 4)
	})
	test("a busy broker does not hold up another one", func(t *testing.T, f *fakeProducer) {
		f.leader[2] = 1
		f.send(1)
		f.send(1, 2)
		want(t, f.end(nil), 1, 2)
		want(t, f.end(nil), 1)
	})
	test("records of a partition stay in order when its leader changes", func(t *testing.T, f *fakeProducer) {
		f.send(1)
		f.send(2)
		f.leader[2] = 1
		f.rounds.send(outgoing{&kgo.Record{Partition: 2, Key: []byte("later")}, func(*kgo.Record, error) {}})
		synctest.Wait()
		if len(f.handed) != 3 || f.handed[1].record.Key != nil || string(f.handed[2].record.Key) != "later" {
			t.Errorf("the client has %d records, want the 3 that were sent, in order", len(f.handed))
		}
	})
	test("a slow round holds up the next one for a limited time", func(t *testing.T, f *fakeProducer) {
		f.send(1)
		f.send(2)
		time.Sleep(slowRound - time.Nanosecond)
		synctest.Wait()
		f.rounds.mu.Lock() // the timer is about to write handed
		if len(f.handed) != 1 {
			t.Errorf("the client has %d records before the limit, want 1", len(f.handed))
		}
		f.rounds.mu.Unlock()
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		f.send(3)
		slow := f.handed[0]
		f.handed = f.handed[1:]
		slow.done(slow.record, nil)
		synctest.Wait()
		want(t, f.end(nil), 2) // the end of the slow round does not end this one
		want(t, f.end(nil), 3)
	})
	test("records of one call go together", func(t *testing.T, f *fakeProducer) {
		var records []outgoing
		for p := range int32(3) {
			records = append(records, outgoing{&kgo.Record{Partition: p}, func(*kgo.Record, error) {}})
		}
		f.rounds.send(records...)
		synctest.Wait()
		want(t, f.end(nil), 0, 1, 2)
	})
	// after ends the records that were handed to the client, which took the time, and
	// returns how long the next record waits.
	after := func(f *fakeProducer, took time.Duration) time.Duration {
		time.Sleep(took)
		f.end(nil)
		start := time.Now()
		handed := start
		f.rounds.mu.Lock()
		f.rounds.produce = func(*kgo.Record, func(*kgo.Record, error)) { handed = time.Now() }
		f.rounds.mu.Unlock()
		f.send(1)
		time.Sleep(slowRound)
		synctest.Wait()
		return handed.Sub(start)
	}
	for _, tt := range []struct {
		name       string
		records    int
		took, want time.Duration
	}{
		{"a round with one record is followed at once by the next one", 1, 4 * time.Millisecond, 0},
		{"a pause as long as a small round follows it", 2, 4 * time.Millisecond, 4 * time.Millisecond},
		{"the pause after a small round is limited", largeRound - 1, 2 * maxPause, maxPause},
		{"a large round is followed at once by the next one", largeRound, 4 * time.Millisecond, 0},
	} {
		test(tt.name, func(t *testing.T, f *fakeProducer) {
			f.send(0)
			f.send(make([]int32, tt.records)...)
			f.end(nil)
			if got := after(f, tt.took); got != tt.want {
				t.Errorf("the next record waits %v, want %v", got, tt.want)
			}
		})
	}
	test("close sends all records at once", func(t *testing.T, f *fakeProducer) {
		f.send(1)
		f.send(2)
		f.rounds.close()
		f.send(3)
		want(t, f.end(nil), 1, 2, 3)
	})
}
