package main

import (
	"context"
	"errors"
)

// partitionNumbers are the numbers of partitions that are compared.
var partitionNumbers = []int{1, 8, 16, 32, 64}

// partitions measures POST until the response, and the CPU time of a product, by the
// number of partitions. One system runs at a time: so many would disturb one another.
func (b *bench) partitions() error {
	for _, n := range partitionNumbers {
		if err := b.postsWith(n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) postsWith(partitions int) (err error) {
	ctx := context.Background()
	e, err := realEngines(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.drop(ctx)) }()
	s, err := b.startServices(e, partitions)
	if err != nil {
		return err
	}
	defer s.kill()
	targets := []*target{{name: count(partitions, "partition"), address: s.address(), server: s}}
	return b.comparePosts(targets, nil, e, func(map[string]posts) error { return nil })
}
