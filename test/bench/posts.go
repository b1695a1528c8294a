package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"
)

// postClients are the numbers of clients that post products concurrently. At
// costClients, the CPU time is measured too.
var postClients = []int{1, 8, 64, 256}

const costClients = 64

// target is a server that products are posted to.
type target struct {
	name, address string
	server        *server      // nil for a plain server
	next          atomic.Int64 // number of the next product
}

// rateShare is the POST rate of a target as a share of that of another one, with the
// goal for each number of clients.
type rateShare struct {
	of, base string
	goals    map[int]float64
}

const (
	plainCRUD    = "plain CRUD"
	onePartition = "one partition"
	defaults     = "default partitions"
	embedded     = "catalog up"
)

// postsOnEngines measures POST until the response on real engines: of a plain CRUD
// server, and of the services with one partition and with the default number. Beside
// one client, it measures the same appends and commits done bare.
func (b *bench) postsOnEngines() (err error) {
	ctx := context.Background()
	e, err := realEngines(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.drop(ctx)) }()
	schema, err := e.schema(ctx, e.own+"_plain")
	if err != nil {
		return err
	}
	plain, address, err := startPeer("postgres", schema, "")
	if err != nil {
		return err
	}
	defer plain.kill()
	targets := []*target{{name: plainCRUD, address: address}}
	for _, name := range []string{onePartition, defaults} {
		own, err := realEngines(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, own.drop(ctx)) }()
		partitions := 0
		if name == onePartition {
			partitions = 1
		}
		s, err := b.startServices(own, partitions)
		if err != nil {
			return err
		}
		defer s.kill()
		targets = append(targets, &target{name: name, address: s.address(), server: s})
	}
	bare, err := newBareWrite(ctx, e)
	if err != nil {
		return err
	}
	defer bare.close(ctx)
	shares := []rateShare{
		{defaults, onePartition, map[int]float64{8: 0.8, 64: 0.8, 256: 0.8}},
		{defaults, plainCRUD, map[int]float64{8: 0.15, 64: 0.35, 256: 0.6}},
	}
	return b.comparePosts(targets, shares, e, func(one map[string]posts) error {
		took, err := bare.run(ctx, b.turn()/2)
		if err != nil {
			return fmt.Errorf("append, commit and append: %w", err)
		}
		b.note("append, commit and append done bare, p50", ms(took, 50), "ms")
		b.atMost("POST by 1 client, "+defaults+", p50, multiple of append, commit and append", ms(one[defaults].took, 50)/ms(took, 50), 1.5, "")
		return nil
	})
}

// postsEmbedded measures the same of catalog up beside a plain CRUD server on SQLite.
func (b *bench) postsEmbedded() error {
	plain, address, err := startPeer("sqlite", filepath.Join(b.dir, "plain.sqlite"), "")
	if err != nil {
		return err
	}
	defer plain.kill()
	s, err := b.start(filepath.Join(b.dir, "embedded"))
	if err != nil {
		return err
	}
	defer s.kill()
	targets := []*target{{name: plainCRUD, address: address}, {name: embedded, address: s.address(), server: s}}
	// Three times the shares before the writer committed groups.
	shares := []rateShare{{embedded, plainCRUD, map[int]float64{8: 3 * 0.040, 64: 3 * 0.121, 256: 3 * 0.211}}}
	return b.comparePosts(targets, shares, nil, func(map[string]posts) error { return nil })
}

// comparePosts posts to the targets in turn by each number of clients. It calls
// beside in each round with the posts by one client. e is nil for embedded engines.
func (b *bench) comparePosts(targets []*target, shares []rateShare, e *engines, beside func(one map[string]posts) error) error {
	for _, t := range targets { // warms up
		if _, err := post(t.address, 8, b.turn()/4, &t.next); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	for range b.rounds {
		for _, clients := range postClients {
			by, done := fmt.Sprintf("POST by %s, ", count(clients, "client")), map[string]posts{}
			for _, t := range targets {
				var err error
				if done[t.name], err = b.postTurn(t, by+t.name, clients, e); err != nil {
					return fmt.Errorf("%s: %w", t.name, err)
				}
			}
			for _, s := range shares {
				name, ratio := fmt.Sprintf("%s%s, share of %s", by, s.of, s.base), done[s.of].rate/done[s.base].rate
				if goal, ok := s.goals[clients]; ok {
					b.atLeast(name, ratio, goal, "")
				} else {
					b.note(name, ratio, "")
				}
			}
			if clients == 1 {
				if err := beside(done); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// postTurn posts to one target and waits until the products are readable and the
// processes are idle.
func (b *bench) postTurn(t *target, name string, clients int, e *engines) (posts, error) {
	before, err := b.costs(t.server, e)
	if err != nil {
		return posts{}, err
	}
	p, err := post(t.address, clients, b.turn(), &t.next)
	if err != nil {
		return p, err
	}
	b.note(name, p.rate, "products/s")
	b.note(name+", p50", ms(p.took, 50), "ms")
	b.note(name+", p99", ms(p.took, 99), "ms")
	if p.refused > 0 {
		b.note(name+", refused", float64(p.refused), "requests")
	}
	if t.server == nil {
		return p, nil
	}
	since := time.Now()
	if err := t.server.waitReadable(p.positions); err != nil {
		return p, err
	}
	b.note(name+", until the last one is readable", time.Since(since).Seconds(), "s")
	if err := t.server.waitIdle(); err != nil {
		return p, err
	}
	if clients == costClients {
		err = b.noteCosts(name, before, t.server, e, p.created)
	}
	return p, err
}

// costs returns the CPU times of the processes and of the engines, by name.
func (b *bench) costs(s *server, e *engines) (map[string]time.Duration, error) {
	times := map[string]time.Duration{}
	if e != nil {
		var err error
		if times, err = e.cpuTimes(); err != nil {
			return nil, err
		}
	}
	if s != nil {
		for _, p := range s.processes {
			stat, err := readStat(p.cmd.Process.Pid)
			if err != nil {
				return nil, err
			}
			times[p.name] = stat.cpu
		}
	}
	return times, nil
}

// noteCosts notes the CPU time that each process has used for n products.
func (b *bench) noteCosts(name string, before map[string]time.Duration, s *server, e *engines, n int) error {
	after, err := b.costs(s, e)
	if err != nil {
		return err
	}
	for process, was := range before {
		b.note(fmt.Sprintf("%s, CPU time of a product in %s", name, process), (after[process]-was).Seconds()*1000/float64(n), "ms")
	}
	return nil
}

// count returns "1 client" or "8 clients".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
