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

// connections is the number of connections of a load.
const connections = 32

// requestRate requests the paths in turn on many connections for the time d, and
// returns the responses per second. It works as little as possible, because the
// measured process shares the machine.
func requestRate(address string, paths []string, d time.Duration) (float64, error) {
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
			did, err := sendRequests(address, requests, i, end)
			mu.Lock()
			defer mu.Unlock()
			n += did
			errs = append(errs, err)
		})
	}
	all.Wait()
	return float64(n) / d.Seconds(), errors.Join(errs...)
}

// sendRequests sends requests on one connection until the end and returns how many
// succeeded.
func sendRequests(address string, requests [][]byte, first int, end time.Time) (n int, err error) {
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
		if err := readResponse(r); err != nil {
			return n, err
		}
	}
	return n, nil
}

var (
	okLine = []byte("HTTP/1.1 200 OK\r\n")
	length = []byte("Content-Length: ")
)

// readResponse reads a response, which must be 200 and have a Content-Length.
func readResponse(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.Equal(line, okLine) {
		return fmt.Errorf("response %q; want 200", line)
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

// serveBare runs the server that the catalogue is compared with: Echo, which
// returns the same bytes for every product.
func serveBare(address string, response io.Reader) error {
	body, err := io.ReadAll(response)
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

// fetch returns the body at the URL.
func fetch(url string) ([]byte, error) {
	r, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, r.Status)
	}
	return io.ReadAll(r.Body)
}

// median returns the median. It sorts values.
func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
