package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"catalog"
	"catalog/internal/wire"
)

// connections is the number of connections of a load of reads.
const connections = 32

// requestRate requests the paths in turn on many connections for the time d, and
// returns the responses per second. It works as little as possible, because the
// measured process shares the machine.
func requestRate(address string, paths []string, d time.Duration) (float64, error) {
	requests := make([][]byte, len(paths))
	for i, p := range paths {
		requests[i] = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", p, address)
	}
	var n atomic.Int64
	end := time.Now().Add(d)
	err := onConnections(address, connections, func(i int, c *connection) error {
		for ; time.Now().Before(end); i++ {
			if _, err := c.send(requests[i%len(requests)], http.StatusOK); err != nil {
				return err
			}
			n.Add(1)
		}
		return nil
	})
	return float64(n.Load()) / d.Seconds(), err
}

// posts are the products that a load has created.
type posts struct {
	created   int
	refused   int             // requests refused with 429 or 503
	took      []time.Duration // times of the requests that created a product
	rate      float64         // created products a second
	positions map[int32]int64 // last position of each shard
}

// refusedPause is the time that a client waits after it was refused.
const refusedPause = 20 * time.Millisecond

// post creates products by the number of clients for the time d. Each client waits for
// the response before it sends the next product. next numbers the products.
func post(address string, clients int, d time.Duration, next *atomic.Int64) (posts, error) {
	all := posts{positions: map[int32]int64{}}
	var mu sync.Mutex
	since := time.Now()
	err := onConnections(address, clients, func(_ int, c *connection) error {
		mine := posts{positions: map[int32]int64{}}
		for time.Since(since) < d {
			if _, err := mine.create(c, int(next.Add(1))); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		all.add(mine)
		return nil
	})
	all.rate = float64(all.created) / time.Since(since).Seconds()
	if err == nil && all.created == 0 {
		err = errors.New("no product was created")
	}
	return all, err
}

// create creates product number i, and returns its path, or "" when the server has
// refused it.
func (p *posts) create(c *connection, i int) (path string, err error) {
	request, err := createRequest(i)
	if err != nil {
		return "", err
	}
	since := time.Now()
	r, err := c.send(request, http.StatusCreated, http.StatusTooManyRequests, http.StatusServiceUnavailable)
	if err != nil {
		return "", err
	}
	if r.status != http.StatusCreated {
		p.refused++
		time.Sleep(refusedPause)
		return "", nil
	}
	p.created++
	p.took = append(p.took, time.Since(since))
	positions, err := catalog.ParsePositions(r.position) // a plain server sends no positions
	for _, at := range positions {
		p.positions[at.Shard] = max(p.positions[at.Shard], at.Seq)
	}
	return r.location, err
}

func (p *posts) add(q posts) {
	p.created, p.refused, p.took = p.created+q.created, p.refused+q.refused, append(p.took, q.took...)
	for shard, seq := range maps.All(q.positions) {
		p.positions[shard] = max(p.positions[shard], seq)
	}
}

// createRequest returns the request that creates product number i.
func createRequest(i int) ([]byte, error) {
	body, err := json.Marshal(wire.ProductDataToJSON(product(i).ProductData))
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "POST /api/v1/products HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body), nil
}

// folder of all files, removed at the end
type connection struct {
	net.Conn
	r *bufio.Reader
}

// part that is measured
func onConnections(address string, n int, work func(i int, c *connection) error) error {
	var (
		mu   sync.Mutex
		errs []error
		all  sync.WaitGroup
	)
	for i := range n {
		all.Go(func() {
			c, err := net.Dial("tcp", address)
			if err == nil {
				err = errors.Join(work(i, &connection{c, bufio.NewReader(c)}), c.Close())
			}
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// reply is a response whose body is discarded.
type reply struct {
	status   int
	position string // Catalog-Position
	location string // path of the created product
}

var (
	lengthHeader   = []byte("Content-Length: ")
	positionHeader = []byte("Catalog-Position: ")
	locationHeader = []byte("Location: ")
)

// send sends a request and reads the response, whose status must be one of those
// wanted, and which must have a Content-Length.
func (c *connection) send(request []byte, wanted ...int) (r reply, err error) {
	if _, err := c.Write(request); err != nil {
		return r, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return r, err
	}
	if len(line) > len("HTTP/1.1 200") {
		r.status, _ = strconv.Atoi(string(line[9:12]))
	}
	size := -1
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return r, err
		}
		if len(line) == 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, lengthHeader); ok {
			if size, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return r, err
			}
		} else if v, ok := bytes.CutPrefix(line, positionHeader); ok {
			r.position = string(bytes.TrimSpace(v))
		} else if v, ok := bytes.CutPrefix(line, locationHeader); ok {
			r.location = string(bytes.TrimSpace(v))
		}
	}
	if size < 0 {
		return r, fmt.Errorf("response %d has no Content-Length", r.status)
	}
	for _, w := range wanted {
		if r.status == w {
			_, err := c.r.Discard(size)
			return r, err
		}
	}
	body, _ := io.ReadAll(io.LimitReader(c.r, int64(min(size, 500))))
	return r, fmt.Errorf("response %d; want %v: %s", r.status, wanted, body)
}

// fetch returns the body at the URL.
func fetch(url string) ([]byte, error) { return fetchBy(http.DefaultClient, url) }

func fetchBy(client *http.Client, url string) ([]byte, error) {
	r, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", url, r.Status)
	}
	return body, err
}
