package main

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"catalog/internal/wire"
)

// codingSpeed returns how many products a second all processors together encode
// and decode. It measures the present speed of the machine, which differs between
// machines and, on a shared one, between hours, so that figures of two runs can be
// compared.
func codingSpeed() (float64, error) {
	const span = time.Second
	var coded atomic.Int64
	var all errgroup.Group
	end := time.Now().Add(span)
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() error {
			for i := 0; time.Now().Before(end); i++ {
				b, err := wire.EncodeProduct(product(i))
				if err != nil {
					return err
				}
				if _, err := wire.DecodeProduct(b); err != nil {
					return err
				}
				coded.Add(1)
			}
			return nil
		})
	}
	err := all.Wait()
	return float64(coded.Load()) / span.Seconds(), err
}
