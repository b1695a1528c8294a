package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"catalog"
)

// readableLimit is the time after which a position that is not readable is an error.
const readableLimit = 3 * time.Minute

// waitReadable waits until the view has reached the positions: seqs by shard.
func (s *server) waitReadable(positions map[int32]int64) error {
	// A read with one position waits for that one, whatever the product is.
	path := "/api/v1/products/" + catalog.DerivedID("bench", "no product").String()
	return s.waitForPositions(positions, 1, path, http.StatusNotFound)
}

// waitSearchable waits until the index has reached the positions.
func (s *server) waitSearchable(positions map[int32]int64) error {
	return s.waitForPositions(positions, catalog.MaxPositions, "/api/v1/products?limit=1", http.StatusOK)
}

// waitForPositions sends reads of the path, each with several positions, until all
// have the status.
func (s *server) waitForPositions(positions map[int32]int64, several int, path string, status int) error {
	end := time.Now().Add(readableLimit)
	return onConnections(s.address(), 1, func(_ int, c *connection) error {
		for shards := range slices.Chunk(slices.Sorted(maps.Keys(positions)), several) {
			var all []string
			for _, shard := range shards {
				all = append(all, catalog.Position{Shard: shard, Seq: positions[shard]}.String())
			}
			request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nCatalog-Position: %s\r\n\r\n", path, strings.Join(all, ", "))
			for {
				r, err := c.send(request, status, http.StatusServiceUnavailable, http.StatusTooManyRequests)
				if err != nil {
					return err
				}
				if r.status == status {
					break
				}
				if time.Now().After(end) {
					return fmt.Errorf("positions %v are not reached after %v", all, readableLimit)
				}
			}
		}
		return nil
	})
}
