package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// queue describes how a group of writers settles commands. Each shard settles one
// batch at a time, which takes what waits at that moment; the batches of all shards
// share the processors and the store (processor sharing).
type queue struct {
	shards   int
	maxBatch int           // most commands in one batch
	batch    time.Duration // work of a batch apart from its commands
	command  time.Duration // work of each command of a batch
	parallel float64       // number of batches that progress at full speed at once
}

// rate returns the highest number of commands a second.
func (q queue) rate() float64 {
	perCommand := q.command + q.batch/time.Duration(q.maxBatch)
	return min(q.parallel, float64(q.shards)) / perCommand.Seconds()
}

// withRate returns the queue of a machine that is faster or slower.
func (q queue) withRate(rate float64) queue {
	factor := q.rate() / rate
	q.batch, q.command = time.Duration(float64(q.batch)*factor), time.Duration(float64(q.command)*factor)
	return q
}

// arrival is a command that reaches the log.
type arrival struct {
	at    time.Duration // since the start
	shard int
}

// pause is a time in which no writer serves some shards. A batch in progress at
// its start is lost and settled again after it.
type pause struct {
	from, to time.Duration
	shards   func(shard int) bool
}

// phase is a part of a load with a constant rate.
type phase struct {
	lasts time.Duration
	rate  float64 // commands a second
}

// poisson returns the arrivals of a load, each at a random shard.
func poisson(phases []phase, shards int, seed uint64) []arrival {
	random := rand.New(rand.NewPCG(seed, 0))
	var all []arrival
	start := time.Duration(0)
	for _, p := range phases {
		for at := start; ; {
			at += time.Duration(random.ExpFloat64() / p.rate * float64(time.Second))
			if at >= start+p.lasts {
				break
			}
			all = append(all, arrival{at, random.IntN(shards)})
		}
		start += p.lasts
	}
	return all
}

// simulatedShard is the state of a shard during a simulation.
type simulatedShard struct {
	waiting []int   // indexes of arrivals, in order
	batch   int     // number of arrivals at the start of waiting that are being settled
	left    float64 // seconds of work left of the batch
}

// simulate returns for each arrival, in their order, the time from its arrival
// until it is settled.
func (q queue) simulate(arrivals []arrival, pauses []pause) []time.Duration {
	ages := make([]time.Duration, len(arrivals))
	shards := make([]simulatedShard, q.shards)
	changes := pauseChanges(pauses)
	now, next, active, settled := 0.0, 0, 0, 0
	paused := func(shard int) bool {
		return slices.ContainsFunc(pauses, func(p pause) bool {
			return p.from.Seconds() <= now && now < p.to.Seconds() && p.shards(shard)
		})
	}
	start := func(shard int) {
		s := &shards[shard]
		if s.batch > 0 || len(s.waiting) == 0 || paused(shard) {
			return
		}
		s.batch = min(len(s.waiting), q.maxBatch)
		s.left = (q.batch + time.Duration(s.batch)*q.command).Seconds()
		active++
	}
	for settled < len(arrivals) {
		speed := min(1, q.parallel/float64(max(active, 1)))
		// The next event is the end of a batch, an arrival, or the start or end of a pause.
		ends, ending := math.Inf(1), -1
		for i := range shards {
			if s := &shards[i]; s.batch > 0 && now+s.left/speed < ends {
				ends, ending = now+s.left/speed, i
			}
		}
		arrives, changesAt := math.Inf(1), math.Inf(1)
		if next < len(arrivals) {
			arrives = arrivals[next].at.Seconds()
		}
		if len(changes) > 0 {
			changesAt = changes[0].Seconds()
		}
		until := min(ends, arrives, changesAt)
		for i := range shards {
			if s := &shards[i]; s.batch > 0 {
				s.left = max(0, s.left-(until-now)*speed)
			}
		}
		now = until
		switch until {
		case changesAt:
			changes = changes[1:]
			for i := range shards {
				if s := &shards[i]; s.batch > 0 && paused(i) {
					s.batch = 0
					active--
				}
				start(i)
			}
		case ends:
			s := &shards[ending]
			for _, i := range s.waiting[:s.batch] {
				ages[i] = time.Duration(now*float64(time.Second)) - arrivals[i].at
			}
			settled += s.batch
			s.waiting, s.batch = s.waiting[s.batch:], 0
			active--
			start(ending)
		default:
			shard := arrivals[next].shard
			shards[shard].waiting = append(shards[shard].waiting, next)
			next++
			start(shard)
		}
	}
	return ages
}

// pauseChanges returns the times at which pauses start and end, in order.
func pauseChanges(pauses []pause) (at []time.Duration) {
	for _, p := range pauses {
		at = append(at, p.from, p.to)
	}
	slices.SortFunc(at, cmp.Compare)
	return at
}

// summary is what measured runs and simulations are compared by.
type summary struct {
	maxAge    time.Duration // longest time from arrival until settled
	recovered time.Duration // arrival of the last command that was older than lateAge when settled
}

// lateAge is the age above which a command counts as delayed by a burst or a pause.
const lateAge = time.Second

func summarize(arrivals []arrival, ages []time.Duration) (s summary) {
	for i, age := range ages {
		s.maxAge = max(s.maxAge, age)
		if age > lateAge {
			s.recovered = max(s.recovered, arrivals[i].at)
		}
	}
	return s
}
