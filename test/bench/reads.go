package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"catalog/internal/wire"
)

// reads measures GET of a product over HTTP in three servers in turn: a bare one that
// writes the same bytes, a catalogue with one product that is read repeatedly (hot),
// and a catalogue with many products, read from Redis (cold).
func (b *bench) reads() error {
	hot, err := b.start(filepath.Join(b.dir, "hot"))
	if err != nil {
		return err
	}
	defer hot.kill()
	ids, err := hot.createProducts(1)
	if err != nil {
		return err
	}
	if err := waitFor(hot.url + ids[0]); err != nil {
		return err
	}
	body, err := fetch(hot.url + ids[0])
	if err != nil {
		return err
	}
	bare, bareAddress, err := startPeer("bare", "", string(body))
	if err != nil {
		return err
	}
	defer bare.kill()
	redis, stop, err := startRedis(b.dir)
	if err != nil {
		return err
	}
	defer stop()
	cold, err := b.start(filepath.Join(b.dir, "cold"), "-cache.size", "0", "-redis.url", redis, "-redis.prefix", fmt.Sprint("bench-", time.Now().UnixNano()))
	if err != nil {
		return err
	}
	defer cold.kill()
	many, err := cold.createProducts(2000)
	if err != nil {
		return err
	}
	if err := waitFor(cold.url + many[len(many)-1]); err != nil {
		return err
	}
	for round := range b.rounds + 1 {
		plain, err := requestRate(bareAddress, ids, b.turn())
		if err != nil {
			return err
		}
		fromNear, err := requestRate(hot.address(), ids, b.turn())
		if err != nil {
			return err
		}
		before, err := cold.cpuTime()
		if err != nil {
			return err
		}
		fromRedis, err := requestRate(cold.address(), many, b.turn())
		if err != nil {
			return err
		}
		after, err := cold.cpuTime()
		if err != nil {
			return err
		}
		if round == 0 {
			continue // warms up
		}
		b.note("GET from a bare Echo server", plain, "requests/s")
		b.atLeast("GET of a hot product, share of a bare Echo server", fromNear/plain, 0.95, "")
		b.atLeast("GET of a cold product from Redis, share of a bare Echo server", fromRedis/plain, 0.5, "")
		b.note("GET of a cold product from Redis, CPU time", (after-before).Seconds()*1e6/(fromRedis*b.turn().Seconds()), "µs")
	}
	return nil
}

// createProducts creates n products and returns their paths.
func (s *server) createProducts(n int) ([]string, error) {
	var lines bytes.Buffer
	e := json.NewEncoder(&lines)
	for i := range n {
		if err := e.Encode(wire.ProductDataToJSON(product(i).ProductData)); err != nil {
			return nil, err
		}
	}
	results, err := s.client.Import(context.Background(), lines.Bytes())
	if err != nil {
		return nil, err
	}
	paths := make([]string, n)
	for i, r := range results {
		if paths[i] = "/api/v1/products/" + r.Id.String(); r.Version != 1 {
			return nil, fmt.Errorf("line %d is %s", r.Line, r.Outcome)
		}
	}
	return paths, nil
}
