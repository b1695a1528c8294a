package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"catalog/internal/cpu"
)

const (
	// slowRound is the time after which a round no longer holds up the next one. A partition
	// whose replicas do not respond otherwise delays the other partitions of its broker.
	slowRound = 100 * time.Millisecond

	// A small round, with several records and fewer than largeRound, holds up the next
	// one for as long again as it took, at most maxPause.
	largeRound = 32
	maxPause   = 10 * time.Millisecond
)

// rounds sends records in rounds, one at a time to each broker. A record is sent immediately if no
// round is in flight; records that arrive during a round go together in the next one. Without
// rounds, the client has up to five requests in flight, each with the few records that arrived
// since the last one. A small request costs the broker and the consumers nearly as much as a large
// one. So there is a pause after a small round. A round of one record has none: a sender that waits
// for each record never waits longer.
type rounds struct {
	produce func(*kgo.Record, func(*kgo.Record, error))
	leader  func(partition) int32 // returns the broker, or -1 if it is unknown

	mu      sync.Mutex
	waiting []outgoing       // records to send, in the order of their arrival
	planned bool             // a call of start is scheduled
	busy    map[int32]*round // by broker: the round for which the next one waits
	closed  bool             // rounds no longer wait for each other
}

// outgoing is a record to send. done is called when it is stored or has failed.
type outgoing struct {
	record *kgo.Record
	done   func(*kgo.Record, error)
}

// round is the records that were handed to the client together for one broker.
type round struct {
	records int
	open    int // records that are neither stored nor failed
	start   time.Time
	timer   *time.Timer // ends the round
}

// pause returns how long the round, whose records are stored, holds up the next one.
func (t *round) pause() time.Duration {
	if t.records == 1 || t.records >= largeRound {
		return 0
	}
	return min(time.Since(t.start), maxPause)
}

// partition names a partition of a topic.
type partition struct {
	topic  string
	number int32
}

func newRounds(client *kgo.Client) *rounds {
	return &rounds{
		// The client gets no context: canceling a record in flight would make it drop the
		// records of other calls to the same partition. It never has maxBufferedRecords.
		produce: func(r *kgo.Record, done func(*kgo.Record, error)) { client.TryProduce(context.Background(), r, done) },
		leader: func(p partition) int32 {
			broker, _, _ := client.PartitionLeader(p.topic, p.number)
			return broker
		},
		busy: map[int32]*round{},
	}
}

// send sends the records with the next round of their broker. Records of one partition
// are sent in the order of the calls, and their calls of done come one at a time and in
// that order.
func (r *rounds) send(records ...outgoing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, records...)
	r.plan()
}

// plan makes start run soon. The caller holds mu.
func (r *rounds) plan() {
	if !r.planned && len(r.waiting) > 0 {
		r.planned = true
		go r.start()
	}
}

// gather returns when no goroutine that can run sends a record: those that have been
// woken together, such as the shards of a transaction, send in one round.
func (r *rounds) gather() {
	cpu.Gather(func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.waiting)
	})
}

// start hands the records that wait to the client, except for brokers that are busy.
func (r *rounds) start() {
	r.gather()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.planned = false
	leaders := map[partition]int32{} // looked up once, so that the records of a partition stay together
	started := map[int32]*round{}
	waiting := r.waiting[:0]
	for _, o := range r.waiting {
		p := partition{o.record.Topic, o.record.Partition}
		broker, ok := leaders[p]
		if !ok {
			broker = r.leader(p)
			leaders[p] = broker
		}
		t := started[broker]
		if t == nil {
			if r.busy[broker] != nil {
				waiting = append(waiting, o)
				continue
			}
			t = &round{start: time.Now()}
			started[broker] = t
		}
		t.records++
		t.open++
		r.produce(o.record, func(record *kgo.Record, err error) {
			o.done(record, err)
			r.stored(broker, t)
		})
	}
	clear(r.waiting[len(waiting):])
	r.waiting = waiting
	for broker, t := range started {
		if !r.closed {
			r.busy[broker] = t
			t.timer = time.AfterFunc(slowRound, func() { r.end(broker, t) })
		}
	}
}

// stored counts a record of the round that is stored or has failed.
func (r *rounds) stored(broker int32, t *round) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.open--; t.open > 0 || r.busy[broker] != t {
		return
	}
	t.timer.Stop()
	if pause := t.pause(); pause > 0 {
		t.timer = time.AfterFunc(pause, func() { r.end(broker, t) })
	} else {
		delete(r.busy, broker)
		r.plan()
	}
}

// end lets the next round of the broker start.
func (r *rounds) end(broker int32, t *round) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[broker] == t {
		t.timer.Stop()
		delete(r.busy, broker)
		r.plan()
	}
}

// close hands all records that wait to the client. From now on no round holds up the
// next one.
func (r *rounds) close() {
	r.mu.Lock()
	r.closed = true
	clear(r.busy)
	r.mu.Unlock()
	r.start()
}
