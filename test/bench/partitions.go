package main

import (
	"context"
	"errors"
)

// partitionNumbers are the numbers of partitions that are compared.
var partitionNumbers = []int{1, 8, 16, 32, 64}

// partitions measures POST until the response, and the CPU time of a product, by the
// number of partitions. The systems take turns.
func (b *bench) partitions() (err error) {
	ctx := context.Background()
	var targets []*target
	var e *engines
	for _, n := range partitionNumbers {
		own, err := realEngines(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, own.drop(ctx)) }()
		s, err := b.startServices(own, n)
		if err != nil {
			return err
		}
		defer s.kill()
		targets, e = append(targets, &target{name: count(n, "partition"), address: s.address(), server: s}), own
	}
	return b.comparePosts(targets, nil, e, func(map[string]posts) error { return nil })
}
