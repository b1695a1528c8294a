package reader

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"catalog"
	"catalog/internal/wire"
)

// Difference is a product that a store of this reader has otherwise than the
// truth. Of version 0 is what is not there.
type Difference struct {
	Store     string // view, cache or index
	Shard     int32
	Got, Want catalog.Product
	Repaired  bool
}

// Comparison is what came of comparing one store with the truth.
type Comparison struct {
	Store     string
	Shards    []int32 // that were compared
	OfShards  int32   // there are
	Products  int64   // that the truth has in them
	Differing int64
	Repaired  int64
}

// Verification says how to compare.
type Verification struct {
	Repair bool // what differs is made right
	Slowly bool // others have the machine first

	// Progress is told how many products of a store, or of the "truth", have been
	// looked at; of is 0 while it is not known how many there are.
	Progress func(store string, products, of int64)
	// Difference is told what differs.
	Difference func(Difference)
}

const (
	verifyPatience = 30 * time.Second      // with a store that has not yet reached the truth
	verifyRest     = 20 * time.Millisecond // after each page, when there is time
	maxSuspects    = 500                   // looked at together
	cacheLooks     = 32                    // at the cache at once
)

// Verify compares what this reader keeps with the truth, while writes go on:
// the view and the cache in the shards that it keeps at the moment, its index
// in all. First a hash of each shard is compared, then product by product where
// hashes differ, and what differs is looked at again when the store has reached
// the truth: no difference is told that is only a delay.
func (r *Reader) Verify(ctx context.Context, v Verification) ([]Comparison, error) {
	truth, err := r.truth(ctx, v)
	if err != nil {
		return nil, err
	}
	var made []Comparison
	for _, s := range r.stores() {
		c, err := truth.compare(ctx, s)
		if err != nil {
			return made, fmt.Errorf("compare the %s with the truth: %w", s.name, err)
		}
		r.metrics.differing.WithLabelValues(s.name).Set(float64(c.Differing - c.Repaired))
		made = append(made, c)
	}
	return made, nil
}

// RunVerify compares now and then, without haste and without repair, until ctx
// ends. What differs is told by a metric and in the log.
func (r *Reader) RunVerify(ctx context.Context, every time.Duration) error {
	if every <= 0 {
		<-ctx.Done()
		return nil
	}
	told := 0
	v := Verification{Slowly: true, Progress: func(string, int64, int64) {}, Difference: func(d Difference) {
		if told++; told <= 10 {
			r.logger.ErrorContext(ctx, "a product differs from the truth; catalog verify -repair makes it right",
				"store", d.Store, "shard", d.Shard, "product", d.Want.ID, "version", d.Got.Version, "truth", d.Want.Version)
		}
	}}
	for wait := rand.N(every); ; wait = every { // not all readers at once
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		told = 0
		if _, err := r.Verify(ctx, v); err != nil && ctx.Err() == nil {
			r.logger.WarnContext(ctx, "the stores could not be compared with the truth", "err", err)
		}
	}
}

// fingerprint is equal for equal products, and for no others.
type fingerprint [2]uint64

func fingerprintOf(p catalog.Product) (fingerprint, error) {
	b, err := wire.EncodeProduct(p)
	if err != nil {
		return fingerprint{}, fmt.Errorf("product %s: %w", p.ID, err)
	}
	sum := sha256.Sum256(b)
	return fingerprint{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}, nil
}

// digest is the hash of a set of products, in whatever order they come.
type digest struct {
	products int64
	sum      fingerprint
}

func (d *digest) add(f fingerprint) {
	d.products++
	d.sum[0] += f[0]
	d.sum[1] += f[1]
}

// truth is what stores are compared with.
type truth struct {
	Verification
	journal       Journal
	all, existing []digest // by shard, with and without tombstones
	looked        int64    // products, for Progress
}

// of answers the digests that the store should have.
func (t *truth) of(s store) []digest {
	if s.deleted {
		return t.all
	}
	return t.existing
}

// look shows progress, and rests when there is time.
func (t *truth) look(ctx context.Context, name string, n int, of int64) error {
	t.looked += int64(n)
	t.Progress(name, t.looked, of)
	if !t.Slowly {
		return nil
	}
	select {
	case <-time.After(verifyRest):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newTruth is the truth of which nothing has been read.
func (r *Reader) newTruth(shards int, v Verification) *truth {
	return &truth{Verification: v, journal: r.journal, all: make([]digest, shards), existing: make([]digest, shards)}
}

// truth reads what there should be.
func (r *Reader) truth(ctx context.Context, v Verification) (*truth, error) {
	starts, _, err := r.log.EventOffsets(ctx)
	if err != nil {
		return nil, err
	}
	t := r.newTruth(len(starts), v)
	for shard := range int32(len(starts)) {
		if err := t.read(ctx, shard, func(products []catalog.Product) error {
			return t.look(ctx, "truth", len(products), 0)
		}); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// read reads what there should be in the shard, and shows it. Several may read at
// once, each another shard.
func (t *truth) read(ctx context.Context, shard int32, handle func([]catalog.Product) error) error {
	_, err := t.journal.Snapshot(ctx, shard, nil, func(products []catalog.Product) error {
		for _, p := range products {
			f, err := fingerprintOf(p)
			if err != nil {
				return err
			}
			t.all[shard].add(f)
			if p.Exists() {
				t.existing[shard].add(f)
			}
		}
		return handle(products)
	})
	return err
}

// compare compares one store.
func (t *truth) compare(ctx context.Context, s store) (Comparison, error) {
	c := Comparison{Store: s.name, OfShards: int32(len(t.all))}
	for shard, d := range t.of(s) {
		if s.keeps(int32(shard)) {
			c.Shards = append(c.Shards, int32(shard))
			c.Products += d.products
		}
	}
	t.looked = 0
	suspects := t.suspectsOfSome
	if s.each != nil {
		suspects = t.suspects
	}
	all, err := suspects(ctx, s, c)
	if err != nil {
		return c, err
	}
	for _, shard := range slices.Sorted(maps.Keys(all)) {
		for ids := range slices.Chunk(all[shard], maxSuspects) {
			if err := t.judge(ctx, s, &c, shard, ids); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// suspects answers, by shard, the products that the store seems to have
// otherwise.
func (t *truth) suspects(ctx context.Context, s store, c Comparison) (map[int32][]catalog.ID, error) {
	shards := len(t.all)
	has := make([]digest, shards)
	err := s.each(ctx, func(products []catalog.Product) error {
		for _, p := range products {
			f, err := fingerprintOf(p)
			if err != nil {
				return err
			}
			has[catalog.Shard(p.ID, shards)].add(f)
		}
		return t.look(ctx, s.name, len(products), c.Products)
	})
	if err != nil {
		return nil, err
	}
	want := make(map[int32]map[catalog.ID]fingerprint)
	for _, shard := range c.Shards {
		if has[shard] == t.of(s)[shard] {
			continue
		}
		want[shard] = map[catalog.ID]fingerprint{}
		if _, err := t.journal.Snapshot(ctx, shard, nil, func(products []catalog.Product) (err error) {
			for _, p := range products {
				if p = s.expect(p); p.Version > 0 && err == nil {
					want[shard][p.ID], err = fingerprintOf(p)
				}
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	if len(want) == 0 {
		return nil, nil
	}
	suspects := make(map[int32][]catalog.ID)
	if err := s.each(ctx, func(products []catalog.Product) error {
		for _, p := range products {
			shard := catalog.Shard(p.ID, shards)
			if want[shard] == nil {
				continue
			}
			f, err := fingerprintOf(p)
			if err != nil {
				return err
			}
			if want[shard][p.ID] != f {
				suspects[shard] = append(suspects[shard], p.ID)
			}
			delete(want[shard], p.ID)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for shard, missing := range want {
		suspects[shard] = slices.AppendSeq(suspects[shard], maps.Keys(missing))
	}
	return suspects, nil
}

// suspectsOfSome does that for a store that has only some products: each one of
// the truth is looked for.
func (t *truth) suspectsOfSome(ctx context.Context, s store, c Comparison) (map[int32][]catalog.ID, error) {
	suspects := make(map[int32][]catalog.ID)
	for _, shard := range c.Shards {
		if _, err := t.journal.Snapshot(ctx, shard, nil, func(products []catalog.Product) error {
			var mu sync.Mutex
			var looks errgroup.Group
			looks.SetLimit(cacheLooks)
			for _, p := range products {
				looks.Go(func() error {
					has, ok, err := s.product(ctx, p.ID)
					if ok && !has.Equal(p) {
						mu.Lock()
						defer mu.Unlock()
						suspects[shard] = append(suspects[shard], p.ID)
					}
					return err
				})
			}
			if err := looks.Wait(); err != nil {
				return err
			}
			return t.look(ctx, s.name, len(products), c.Products)
		}); err != nil {
			return nil, err
		}
	}
	return suspects, nil
}

// judge looks again at suspects, tells those that differ, and repairs them.
func (t *truth) judge(ctx context.Context, s store, c *Comparison, shard int32, ids []catalog.ID) error {
	differ, err := t.differing(ctx, s, shard, ids)
	if err != nil || len(differ) == 0 {
		return err
	}
	if t.Repair {
		if err := s.mend(ctx, shard, differ); err != nil {
			return err
		}
		ids = ids[:0:0]
		for _, d := range differ {
			ids = append(ids, d.Want.ID)
		}
		still, err := t.differing(ctx, s, shard, ids)
		if err != nil {
			return err
		}
		for i, d := range differ {
			differ[i].Repaired = !slices.ContainsFunc(still, func(e Difference) bool { return e.Want.ID == d.Want.ID })
		}
	}
	for _, d := range differ {
		c.Differing++
		if d.Repaired {
			c.Repaired++
		}
		t.Difference(d)
	}
	return nil
}

// differing answers those of the products that differ: that the store has
// otherwise although it has reached the truth, which is the same before and
// after the store is looked at.
func (t *truth) differing(ctx context.Context, s store, shard int32, ids []catalog.ID) (differ []Difference, err error) {
	for seen := map[catalog.ID]Difference{}; ; {
		now := make(map[catalog.ID]catalog.Product, len(ids))
		next, err := t.journal.Snapshot(ctx, shard, ids, func(products []catalog.Product) error {
			for _, p := range products {
				now[p.ID] = p
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		var open []catalog.ID
		for _, id := range ids {
			want := s.expect(now[id])
			want.ID = id
			if d, ok := seen[id]; ok && d.Want.Equal(want) {
				differ = append(differ, d)
				continue
			}
			seen[id] = Difference{Store: s.name, Shard: shard, Want: want}
			open = append(open, id)
		}
		if ids = open; len(ids) == 0 {
			return differ, nil
		}
		if err := patiently(ctx, s.reach, catalog.Position{Shard: shard, Seq: next - 1}); err != nil {
			return nil, err
		}
		open = nil
		for _, id := range ids {
			has, ok, err := s.product(ctx, id)
			if err != nil {
				return nil, err
			}
			has.ID = id
			d := seen[id]
			if d.Got = has; ok && !has.Equal(d.Want) {
				seen[id] = d
				open = append(open, id)
			}
		}
		if ids = open; len(ids) == 0 {
			return differ, nil
		}
	}
}

// patiently waits until a store has reached the position.
func patiently(ctx context.Context, reach func(context.Context, catalog.Position) error, at catalog.Position) error {
	for since := time.Now(); ; {
		err := reach(ctx, at)
		if !errors.Is(err, catalog.ErrStale) || ctx.Err() != nil {
			return err
		}
		if time.Since(since) > verifyPatience {
			return fmt.Errorf("position %s is not reached after %v: %w", at, verifyPatience, err)
		}
	}
}
