package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"catalog"
	"catalog/client"
)

// view measures the services with default settings on real engines: the CPU time when
// nothing happens, commands in bulk, and how soon a write can be read and found.
func (b *bench) view() (err error) {
	ctx := context.Background()
	e, err := realEngines(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.drop(ctx)) }()
	s, err := b.startServices(e, 0)
	if err != nil {
		return err
	}
	defer s.kill()
	if err := b.quiet(s); err != nil {
		return err
	}
	if err := b.idle(s, e); err != nil {
		return err
	}
	if err := b.bulk(ctx, s, e); err != nil {
		return err
	}
	if err := b.freshness(s); err != nil {
		return err
	}
	return s.stop()
}

// idle measures the CPU time of services and engines while nothing happens.
func (b *bench) idle(s *server, e *engines) error {
	d := b.scaled(4 * time.Second)
	for range b.rounds {
		if err := s.waitIdle(); err != nil {
			return err
		}
		before, err := b.costs(s, e)
		if err != nil {
			return err
		}
		since := time.Now()
		time.Sleep(d) // measures the time without work
		after, err := b.costs(s, e)
		if err != nil {
			return err
		}
		percent, sum := 100/time.Since(since).Seconds(), 0.0
		for name, was := range before {
			used := (after[name] - was).Seconds() * percent
			b.note("idle, "+name, used, "% of a core")
			if s.admin[name] != "" {
				sum += used
			}
		}
		b.atMost("idle, all three services", sum, 3, "% of a core")
	}
	return nil
}

// Settings of the measurement of freshness.
const (
	freshClients = 64
	freshShare   = 0.8 // share of the highest rate

	// Pause between two products that are searched for, and, for each of them, between the first
	// requests. The search is for a GTIN, because a text that no product has is the most
	// expensive search there is: such searches were half of the reader's load.
	sampleInterval = 100 * time.Millisecond
	readPause      = 5 * time.Millisecond
	searchPause    = 50 * time.Millisecond
)

// freshness measures, at a share of the highest rate of POST, how long after the
// response a product can be read and found.
func (b *bench) freshness(s *server) error {
	var next atomic.Int64
	next.Store(1_000_000) // other products than those of quiet and bulk
	peak := 0.0
	for _, clients := range postClients[2:] {
		p, err := post(s.address(), clients, b.turn(), &next)
		if err != nil {
			return err
		}
		peak = max(peak, p.rate)
		since := time.Now()
		if err := s.waitReadable(p.positions); err != nil {
			return err
		}
		b.atMost(fmt.Sprintf("after POST by %d clients, until the last one is readable", clients), time.Since(since).Seconds(), 5, "s")
		if err := s.waitIdle(); err != nil {
			return err
		}
	}
	for range b.rounds {
		f, err := s.paced(peak*freshShare, b.scaled(4*time.Second), &next)
		if err != nil {
			return err
		}
		b.note("under load, rate of POST", f.rate, "products/s")
		b.atMost("under load, settled until readable, p50", ms(f.readable, 50), 50, "ms")
		b.atMost("under load, settled until readable, p99", ms(f.readable, 99), 1000, "ms")
		b.note("under load, settled until searchable, p50", ms(f.searchable, 50), "ms")
		b.atMost("under load, settled until searchable, p99", ms(f.searchable, 99), 2000, "ms")
		if err := s.waitIdle(); err != nil {
			return err
		}
	}
	return nil
}

// fresh has the times from the response of a write until it can be read and found.
type fresh struct {
	rate                 float64 // rate of the writes that were settled
	readable, searchable []time.Duration
}

// paced creates products at the rate for the time d, and looks for one of them every
// sampleInterval.
func (s *server) paced(rate float64, d time.Duration, next *atomic.Int64) (f fresh, err error) {
	var (
		due     atomic.Bool // the next created product is to be looked for
		created atomic.Int64
		samples sync.WaitGroup
		mu      sync.Mutex
		errs    []error
		reads   = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: time.Minute}
		since   = time.Now()
	)
	ticks := time.NewTicker(sampleInterval)
	defer ticks.Stop()
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-ticks.C:
				due.Store(true)
			case <-done:
				return
			}
		}
	}()
	look := func(took *[]time.Duration, pause time.Duration, url, wanted string) {
		samples.Go(func() {
			t, err := until(reads, pause, url, wanted)
			mu.Lock()
			defer mu.Unlock()
			*took, errs = append(*took, t), append(errs, err)
		})
	}
	interval := time.Duration(freshClients / rate * float64(time.Second)) // pause between two writes of one client
	err = onConnections(s.address(), freshClients, func(i int, c *connection) error {
		mine := posts{positions: map[int32]int64{}}
		for at := interval * time.Duration(i) / freshClients; at < d; at += interval {
			time.Sleep(at - time.Since(since)) // returns at once when the client is late
			n := int(next.Add(1))
			location, err := mine.create(c, n)
			if err != nil {
				return err
			}
			if location == "" {
				continue
			}
			created.Add(1)
			if due.CompareAndSwap(true, false) {
				id := path.Base(location)
				look(&f.readable, readPause, s.url+location, id)
				look(&f.searchable, searchPause, s.url+"/api/v1/products?limit=5&gtin="+product(n).GTIN, id)
			}
		}
		return nil
	})
	close(done)
	f.rate = float64(created.Load()) / time.Since(since).Seconds()
	samples.Wait()
	if err == nil && len(f.readable) == 0 {
		err = errors.New("no product was looked for; the time is too short")
	}
	return f, errors.Join(append(errs, err)...)
}

// until repeats a GET until the response contains the text, and returns how long it
// took. The pauses begin with the given one and grow with the time, so that many waiting
// clients are no load.
func until(client *http.Client, pause time.Duration, url, text string) (time.Duration, error) {
	since := time.Now()
	for {
		body, err := fetchBy(client, url)
		took := time.Since(since)
		switch {
		case err == nil && strings.Contains(string(body), text):
			return took, nil
		case took > readableLimit:
			return took, fmt.Errorf("GET %s: no %q after %v: %w", url, text, readableLimit, err)
		}
		time.Sleep(max(pause, took/10))
	}
}

// quiet measures single writes while nothing else happens.
func (b *bench) quiet(s *server) error {
	for range b.rounds {
		settled, readable, searchable, err := s.writes(b.number(60))
		if err != nil {
			return err
		}
		b.atMost("POST until settled, p50", ms(settled, 50), 10, "ms")
		b.atMost("POST until settled, p99", ms(settled, 99), 50, "ms")
		b.atMost("settled until readable, p50", ms(readable, 50), 10, "ms")
		b.atMost("settled until readable, p99", ms(readable, 99), 50, "ms")
		b.atMost("settled until searchable, p50", ms(searchable, 50), 10, "ms")
		b.atMost("settled until searchable, p99", ms(searchable, 99), 50, "ms")
	}
	return nil
}

// writes creates n products one after the other. For each, it measures the time
// until it is settled, and from then until another client can read and find it.
func (s *server) writes(n int) (settled, readable, searchable []time.Duration, err error) {
	ctx := context.Background()
	other := client.New(s.url) // sends no positions, since it writes nothing
	for i := range n {
		name := fmt.Sprintf("benchmark%dx%d", i, time.Now().UnixNano())
		since := time.Now()
		w, err := s.client.Create(ctx, catalog.ProductData{Name: name, Price: catalog.Money{Decimal: catalog.Decimal{Units: 10}, Currency: "EUR"}})
		if err != nil {
			return nil, nil, nil, err
		}
		written := time.Now()
		settled = append(settled, written.Sub(since))
		for {
			_, err := other.Product(ctx, w.Product.ID)
			if err == nil {
				break
			}
			if !errors.Is(err, catalog.ErrNotFound) {
				return nil, nil, nil, err
			}
		}
		readable = append(readable, time.Since(written))
		for {
			page, err := other.Search(ctx, catalog.Query{Text: name})
			if err != nil {
				return nil, nil, nil, err
			}
			if page.Total > 0 {
				break
			}
		}
		searchable = append(searchable, time.Since(written))
	}
	return settled, readable, searchable, nil
}
