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

// measureReads measures GET of a product over HTTP in three servers: a bare one that
// writes the same bytes, a catalogue with one product that is read repeatedly (hot),
// and a catalogue with many products, read from Redis (cold). It returns the rates
// of the catalogues relative to the bare server. The servers take turns, so that
// other load on the machine affects all of them.
func measureReads(program, dir string) (hot, cold float64, err error) {
	const rounds, turn = 5, 2 * time.Second
	hotServer, err := start(program, filepath.Join(dir, "near"))
	if err != nil {
		return 0, 0, err
	}
	defer hotServer.kill()
	ids, err := hotServer.createProducts(1)
	if err != nil {
		return 0, 0, err
	}
	if err := waitFor(hotServer.url + ids[0]); err != nil {
		return 0, 0, err
	}
	body, err := fetch(hotServer.url + ids[0])
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
	coldServer, err := start(program, filepath.Join(dir, "far"), "-cache.size", "0", "-redis.url", redis, "-redis.prefix", fmt.Sprint("bench-", time.Now().UnixNano()))
	if err != nil {
		return 0, 0, err
	}
	defer coldServer.kill()
	many, err := coldServer.createProducts(2000)
	if err != nil {
		return 0, 0, err
	}
	if err := waitFor(coldServer.url + many[len(many)-1]); err != nil {
		return 0, 0, err
	}

	var hots, colds []float64
	for round := range rounds + 1 {
		b, err := requestRate(address, ids, turn)
		if err != nil {
			return 0, 0, err
		}
		h, err := requestRate(strings.TrimPrefix(hotServer.url, "http://"), ids, turn)
		if err != nil {
			return 0, 0, err
		}
		c, err := requestRate(strings.TrimPrefix(coldServer.url, "http://"), many, turn)
		if err != nil {
			return 0, 0, err
		}
		fmt.Fprintf(os.Stderr, "GET/s: bare %.0f, hot %.0f (%.2f), from Redis %.0f (%.2f)\n", b, h, h/b, c, c/b)
		if round > 0 { // the first round warms up
			hots, colds = append(hots, h/b), append(colds, c/b)
		}
	}
	return median(hots), median(colds), nil
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

// waitFor waits until a GET of the URL succeeds.
func waitFor(url string) (err error) {
	for range 500 {
		if _, err = fetch(url); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}
