package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"catalog/engine/enginetest/freeport"
	"catalog/internal/wire"
)

// gets measures what it takes to answer GET of one product over HTTP: as a bare
// server that writes the same bytes does, as a catalogue does to whom one
// product is asked for again and again, and as one does that has many, from
// Redis. They take turns, so that what else the machine does meets all alike.
func gets(program, dir string) (hot, cold float64, err error) {
	const rounds, turn = 5, 2 * time.Second
	near, err := start(program, filepath.Join(dir, "near"))
	if err != nil {
		return 0, 0, err
	}
	defer near.kill()
	ids, err := near.fill(1)
	if err != nil {
		return 0, 0, err
	}
	if err := waitFor(near.url + ids[0]); err != nil {
		return 0, 0, err
	}
	body, err := fetch(near.url + ids[0])
	if err != nil {
		return 0, 0, err
	}
	address := freeport.Address()
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	plain := exec.Command(self, "-bare", address)
	plain.Stdin = bytes.NewReader(body)
	if err := plain.Start(); err != nil {
		return 0, 0, err
	}
	defer func() { _ = plain.Process.Kill(); _ = plain.Wait() }()
	if err := waitFor("http://" + address + ids[0]); err != nil {
		return 0, 0, err
	}

	redis, stop, err := startRedis(dir)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	far, err := start(program, filepath.Join(dir, "far"), "-near", "0", "-redis.url", redis, "-redis.prefix", fmt.Sprint("bench-", time.Now().UnixNano()))
	if err != nil {
		return 0, 0, err
	}
	defer far.kill()
	many, err := far.fill(2000)
	if err != nil {
		return 0, 0, err
	}
	if err := waitFor(far.url + many[len(many)-1]); err != nil {
		return 0, 0, err
	}

	var hots, colds []float64
	for round := range rounds + 1 {
		b, err := load(address, ids, turn)
		if err != nil {
			return 0, 0, err
		}
		h, err := load(strings.TrimPrefix(near.url, "http://"), ids, turn)
		if err != nil {
			return 0, 0, err
		}
		c, err := load(strings.TrimPrefix(far.url, "http://"), many, turn)
		if err != nil {
			return 0, 0, err
		}
		fmt.Fprintf(os.Stderr, "GET/s: bare %.0f, hot %.0f (%.2f), from Redis %.0f (%.2f)\n", b, h, h/b, c, c/b)
		if round > 0 { // the first warms up
			hots, colds = append(hots, h/b), append(colds, c/b)
		}
	}
	return median(hots), median(colds), nil
}

// fill makes n products, and answers their paths.
func (s *server) fill(n int) ([]string, error) {
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

// waitFor waits until something answers at the URL.
func waitFor(url string) (err error) {
	for range 500 {
		if _, err = fetch(url); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}
