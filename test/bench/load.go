package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v5"
)

// connections of a load.
const connections = 32

// load asks for the paths in turn, on many connections, and answers how many
// answers came in a second. It does as little as it can: what is measured
// shares the machine with it.
func load(address string, paths []string, d time.Duration) (float64, error) {
	requests := make([][]byte, len(paths))
	for i, p := range paths {
		requests[i] = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", p, address)
	}
	var (
		mu   sync.Mutex
		n    int
		errs []error
		all  sync.WaitGroup
		end  = time.Now().Add(d)
	)
	for i := range connections {
		all.Go(func() {
			did, err := ask(address, requests, i, end)
			mu.Lock()
			defer mu.Unlock()
			n += did
			errs = append(errs, err)
		})
	}
	all.Wait()
	return float64(n) / d.Seconds(), errors.Join(errs...)
}

// ask asks on one connection until the end.
func ask(address string, requests [][]byte, first int, end time.Time) (n int, err error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for n = 0; time.Now().Before(end); n++ {
		if _, err := c.Write(requests[(first+n)%len(requests)]); err != nil {
			return n, err
		}
		if err := answer(r); err != nil {
			return n, err
		}
	}
	return n, nil
}

var (
	okLine = []byte("HTTP/1.1 200 OK\r\n")
	length = []byte("Content-Length: ")
)

// answer reads an answer, which must be 200 and have a length.
func answer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.Equal(line, okLine) {
		return fmt.Errorf("answered %q", line)
	}
	for size := 0; ; {
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) == 2 {
			_, err := r.Discard(size)
			return err
		}
		if v, ok := bytes.CutPrefix(line, length); ok {
			if size, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return err
			}
		}
	}
}

// bare is the server that others are compared with: Echo, and nothing but the
// bytes that a catalogue answers.
func bare(address string, answer io.Reader) error {
	body, err := io.ReadAll(answer)
	if err != nil {
		return err
	}
	e := echo.New()
	e.GET("/api/v1/products/:id", func(c *echo.Context) error {
		c.Response().Header().Set("ETag", `"1"`)
		return c.Blob(http.StatusOK, "application/json", body)
	})
	server := &http.Server{Addr: address, Handler: e, ReadHeaderTimeout: time.Minute}
	return server.ListenAndServe()
}

// fetch answers the body at the URL.
func fetch(url string) ([]byte, error) {
	r, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", url, r.Status)
	}
	return io.ReadAll(r.Body)
}

// median is that of the values.
func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
