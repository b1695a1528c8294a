package main

import (
	"math"
	"testing"
	"time"
)

func mean(ages []time.Duration) float64 {
	sum := 0.0
	for _, a := range ages {
		sum += a.Seconds()
	}
	return sum / float64(len(ages))
}

func checkNear(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*want {
		t.Errorf("%s = %.4f, want %.4f within %.0f %%", what, got, want, tolerance*100)
	}
}

func TestSimulate(t *testing.T) {
	t.Run("one server without batches waits as the Pollaczek-Khinchine formula says", func(t *testing.T) {
		// M/D/1: mean time in the system = D + ρD/(2(1-ρ)).
		const d, load = 0.001, 0.8
		q := queue{shards: 1, maxBatch: 1, command: time.Millisecond, parallel: 1}
		ages := q.simulate(poisson([]phase{{300 * time.Second, load / d}}, 1, 1), nil)
		checkNear(t, "mean age", mean(ages), d+load*d/(2*(1-load)), 0.05)
	})
	t.Run("shards that share a processor wait as the formula of processor sharing says", func(t *testing.T) {
		// With one command a batch and so many shards that two commands seldom meet in
		// one, this is M/D/1 with processor sharing: mean time = D/(1-ρ).
		const d, load = 0.001, 0.6
		q := queue{shards: 4000, maxBatch: 1, command: time.Millisecond, parallel: 1}
		ages := q.simulate(poisson([]phase{{40 * time.Second, load / d}}, q.shards, 2), nil)
		checkNear(t, "mean age", mean(ages), d/(1-load), 0.05)
	})
	t.Run("a burst delays commands by what arrived beyond the rate", func(t *testing.T) {
		q := queue{shards: 8, maxBatch: 1000, batch: time.Millisecond, command: 100 * time.Microsecond, parallel: 2}
		rate := q.rate()
		arrivals := poisson([]phase{{4 * time.Second, 0.4 * rate}, {6 * time.Second, 1.8 * rate}, {20 * time.Second, 0.4 * rate}}, q.shards, 3)
		s := summarize(arrivals, q.simulate(arrivals, nil))
		// A batch of 1,000 commands takes 0.4 s beside seven others, which comes on top.
		checkNear(t, "longest age in seconds", s.maxAge.Seconds(), 6*0.8+0.4, 0.1)
		// From 10 s on, an age of 4.8 s shrinks by 0.6 s each second.
		checkNear(t, "recovery in seconds", s.recovered.Seconds(), 10+(4.8-1)/0.6, 0.1)
	})
	t.Run("a pause delays the commands of its shards by its length, and no others", func(t *testing.T) {
		q := queue{shards: 8, maxBatch: 1000, batch: time.Millisecond, command: 100 * time.Microsecond, parallel: 2}
		arrivals := poisson([]phase{{30 * time.Second, 0.3 * q.rate()}}, q.shards, 4)
		ages := q.simulate(arrivals, []pause{{5 * time.Second, 11 * time.Second, func(s int) bool { return s%2 == 0 }}})
		s := summarize(arrivals, ages)
		checkNear(t, "longest age in seconds", s.maxAge.Seconds(), 6, 0.1)
		for i, age := range ages {
			if arrivals[i].shard%2 == 1 && age > lateAge {
				t.Fatalf("a command of shard %d at %v waited %v", arrivals[i].shard, arrivals[i].at, age)
			}
		}
	})
	t.Run("every command is settled, in the order of its shard", func(t *testing.T) {
		q := queue{shards: 3, maxBatch: 7, batch: time.Millisecond, command: time.Millisecond, parallel: 2}
		arrivals := poisson([]phase{{10 * time.Second, 500}}, q.shards, 5)
		ages := q.simulate(arrivals, []pause{{2 * time.Second, 3 * time.Second, func(s int) bool { return s == 1 }}})
		last := map[int]time.Duration{}
		for i, a := range arrivals {
			settled := a.at + ages[i]
			if ages[i] <= 0 || settled < last[a.shard]-time.Microsecond {
				t.Fatalf("command %d of shard %d arrived at %v and was settled at %v, after one settled at %v", i, a.shard, a.at, settled, last[a.shard])
			}
			last[a.shard] = settled
		}
	})
}
