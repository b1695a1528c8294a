package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"catalog"
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
	ids, err := near.fillCold(1)
	if err != nil {
		return 0, 0, err
	}
	body, err := fetch(near.url + ids[0])
	if err != nil {
		return 0, 0, err
	}
	file := filepath.Join(dir, "body.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		return 0, 0, err
	}
	address, err := free()
	if err != nil {
		return 0, 0, err
	}
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	plain := exec.Command(self, "-bare", address, "-body", file)
	if err := plain.Start(); err != nil {
		return 0, 0, err
	}
	defer func() { _ = plain.Process.Kill(); _ = plain.Wait() }()
	waitFor("http://" + address + ids[0])

	redis, redisURL, err := startRedis(dir)
	if err != nil {
		return 0, 0, err
	}
	defer redis()
	far, err := start(program, filepath.Join(dir, "far"), "-near", "0", "-redis.url", redisURL)
	if err != nil {
		return 0, 0, err
	}
	defer far.kill()
	many, err := far.fillCold(2000)
	if err != nil {
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

// fillCold makes n products and answers their paths.
func (s *server) fillCold(n int) ([]string, error) {
	paths := make([]string, n)
	for i := range paths {
		w, err := s.client.Create(context.Background(), catalog.Draft{
			SKU: fmt.Sprint("GET-", i), Name: fmt.Sprint("Folding chair ", i), Category: "Furniture/Chairs",
			Description: "Oiled oak, with a seat of woven paper cord. Folds flat, weighs three kilograms, and carries a hundred and ten.",
			Price:       catalog.Money{Decimal: catalog.Decimal{Units: 149, Nanos: 900_000_000}, Currency: "EUR"},
			Tags:        []string{"oak", "foldable"}, Attributes: map[string]string{"width": "48 cm", "height": "79 cm"},
		})
		if err != nil {
			return nil, err
		}
		paths[i] = "/api/v1/products/" + w.Product.ID.String()
	}
	return paths, nil
}

// waitFor waits until something answers at the URL.
func waitFor(url string) {
	for range 500 {
		if _, err := fetch(url); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// startRedis starts a Redis of our own, or takes the one of the environment.
func startRedis(dir string) (stop func(), url string, err error) {
	if url := os.Getenv("CATALOG_TEST_REDIS_URL"); url != "" {
		return func() {}, url, nil
	}
	address, err := free()
	if err != nil {
		return nil, "", err
	}
	_, port, _ := strings.Cut(address, ":")
	c := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", dir)
	if err := c.Start(); err != nil {
		return nil, "", fmt.Errorf("a Redis is needed, in the PATH or as CATALOG_TEST_REDIS_URL: %w", err)
	}
	return func() { _ = c.Process.Kill(); _ = c.Wait() }, "redis://" + address, nil
}
