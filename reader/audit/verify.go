package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"catalog"
	"catalog/internal/wire"
)

const (
	// catchUpTimeout is how long a verification waits for a replica that lags.
	catchUpTimeout = 30 * time.Second
	// pagePause is the pause after each page of a slow verification, which leaves
	// the machine to queries and events.
	pagePause = 20 * time.Millisecond
	// maxRecheck is the number of products that are checked again together, and
	// maxRecheckBytes their size at which a group ends. Each group costs two small
	// snapshots and holds its products of the journal and of the replica.
	maxRecheck, maxRecheckBytes = 500, 4 << 20
	// maxCacheLookups is the number of concurrent cache lookups.
	maxCacheLookups = 32
)

// Difference is a product of a replica that differs from the journal. A product
// that does not exist has version 0.
type Difference struct {
	Store     string // view, cache or index
	Shard     int32
	Got, Want catalog.Product // the product in the replica and in the journal
	Repaired  bool
}

// Comparison is the result of comparing one replica with the journal.
type Comparison struct {
	Store     string
	Shards    []int32 // the compared shards
	OfShards  int32   // the number of all shards
	Products  int64   // the number of products that the compared shards have in the journal
	Differing int64
	Repaired  int64
}

// Verification holds the options of Verify.
type Verification struct {
	Repair bool // repair the products that differ
	Slowly bool // pause after each page

	// Progress is called with the number of products compared in a store (view,
	// cache, index) or read from the journal ("journal"), and with their total,
	// or 0 while the total is unknown.
	Progress func(store string, products, of int64)

	// Difference is called for each product that differs.
	Difference func(Difference)
}

// Verify compares the replicas of this reader with the journal: the view and the
// cache in the shards that this process projects, the index in all shards. It
// compares one digest for each shard, then single products where digests differ,
// and rechecks those once the replica has caught up. It returns ErrOverloaded when
// maxVerifications others run for longer than verifyQueueTimeout.
func (a *Auditor) Verify(ctx context.Context, v Verification) ([]Comparison, error) {
	select {
	case a.verifying <- struct{}{}:
		defer func() { <-a.verifying }()
	case <-time.After(verifyQueueTimeout):
		return nil, fmt.Errorf("%d other verifications are running; try again when one has ended: %w", maxVerifications, catalog.ErrOverloaded)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	shards, err := a.shards(ctx)
	if err != nil {
		return nil, err
	}
	source := newSourceDigest(a.deps.Journal, shards, v)
	if err := source.readAll(ctx); err != nil {
		return nil, err
	}
	var results []Comparison
	for _, r := range a.replicas() {
		c, err := source.compare(ctx, r)
		if err != nil {
			return results, fmt.Errorf("compare the %s with the journal: %w", r.name, err)
		}
		a.differing.WithLabelValues(r.name).Set(float64(c.Differing - c.Repaired))
		results = append(results, c)
	}
	return results, nil
}

// productHash is the first 128 bits of the SHA-256 of an encoded product.
type productHash [2]uint64

func hashProduct(p catalog.Product) (productHash, error) {
	b, err := wire.EncodeProduct(p)
	if err != nil {
		return productHash{}, fmt.Errorf("product %s: %w", p.ID, err)
	}
	sum := sha256.Sum256(b)
	return productHash{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}, nil
}

// hashAndSize is the hash and the size of a product of the journal, for a
// comparison.
type hashAndSize struct {
	hash productHash
	size int // size in bytes
}

// suspect is a product that seems to differ, and its size in bytes.
type suspect struct {
	id   catalog.ID
	size int
}

// groups divides suspects into groups that are checked again together.
func groups(suspects []suspect) (all [][]catalog.ID) {
	var group []catalog.ID
	size := 0
	for _, s := range suspects {
		if len(group) == maxRecheck || size >= maxRecheckBytes {
			all = append(all, group)
			group, size = nil, 0
		}
		group, size = append(group, s.id), size+s.size
	}
	if len(group) > 0 {
		all = append(all, group)
	}
	return all
}

// digest is the hash of a set of products. The order of the products does not
// matter.
type digest struct {
	products int64
	sum      productHash
}

func (d *digest) add(h productHash) {
	d.products++
	d.sum[0] += h[0]
	d.sum[1] += h[1]
}

// sourceDigest holds the digests of the products in the journal, with which
// replicas are compared.
type sourceDigest struct {
	Verification
	journal        Journal
	all, existing  []digest // digests by shard, with and without tombstones
	productsViewed int64    // for Progress
}

// newSourceDigest returns digests of which nothing is read yet.
func newSourceDigest(journal Journal, shards int, v Verification) *sourceDigest {
	return &sourceDigest{Verification: v, journal: journal, all: make([]digest, shards), existing: make([]digest, shards)}
}

// readAll reads the digests of all shards.
func (s *sourceDigest) readAll(ctx context.Context) error {
	for shard := range int32(len(s.all)) {
		err := s.read(ctx, shard, func(products []catalog.Product) error {
			return s.reportPage(ctx, "journal", len(products), 0)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// read reads the digest of a shard and calls handle with its products. Different
// shards may be read concurrently.
func (s *sourceDigest) read(ctx context.Context, shard int32, handle func([]catalog.Product) error) error {
	_, err := s.journal.Snapshot(ctx, shard, nil, func(products []catalog.Product) error {
		for _, p := range products {
			h, err := hashProduct(p)
			if err != nil {
				return err
			}
			s.all[shard].add(h)
			if p.Exists() {
				s.existing[shard].add(h)
			}
		}
		return handle(products)
	})
	return err
}

// expected returns the digests that the replica should have.
func (s *sourceDigest) expected(r replica) []digest {
	if r.tombstones {
		return s.all
	}
	return s.existing
}

// reportPage reports n more products as progress, and pauses if the verification
// is a slow one.
func (s *sourceDigest) reportPage(ctx context.Context, store string, n int, of int64) error {
	s.productsViewed += int64(n)
	s.Progress(store, s.productsViewed, of)
	if !s.Slowly {
		return nil
	}
	select {
	case <-time.After(pagePause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// compare compares one replica with the journal.
func (s *sourceDigest) compare(ctx context.Context, r replica) (Comparison, error) {
	c := Comparison{Store: r.name, OfShards: int32(len(s.all))}
	for shard, d := range s.expected(r) {
		if r.owns(int32(shard)) {
			c.Shards = append(c.Shards, int32(shard))
			c.Products += d.products
		}
	}
	s.productsViewed = 0
	find := s.suspectsByLookup
	if r.scan != nil {
		find = s.suspectsByScan
	}
	suspects, err := find(ctx, r, c)
	if err != nil {
		return c, err
	}
	for _, shard := range slices.Sorted(maps.Keys(suspects)) {
		for _, ids := range groups(suspects[shard]) {
			if err := s.recheck(ctx, r, &c, shard, ids); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// suspectsByScan returns, by shard, the products that seem to differ in a scan of
// the replica. Some have only changed meanwhile; recheck drops those.
func (s *sourceDigest) suspectsByScan(ctx context.Context, r replica, c Comparison) (map[int32][]suspect, error) {
	want, err := s.hashesWhereDigestsDiffer(ctx, r, c)
	if err != nil || len(want) == 0 {
		return nil, err
	}
	suspects := make(map[int32][]suspect)
	if err := r.scan(ctx, func(products []catalog.Product) error {
		for _, p := range products {
			shard := catalog.Shard(p.ID, len(s.all))
			if want[shard] == nil {
				continue
			}
			h, err := hashProduct(p)
			if err != nil {
				return err
			}
			if w := want[shard][p.ID]; w.hash != h {
				suspects[shard] = append(suspects[shard], suspect{p.ID, max(w.size, p.Size())})
			}
			delete(want[shard], p.ID)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for shard, missing := range want {
		for id, w := range missing {
			suspects[shard] = append(suspects[shard], suspect{id, w.size})
		}
	}
	return suspects, nil
}

// hashesWhereDigestsDiffer compares the digests of the shards, and returns for
// each shard that differs the hashes of the products in the journal.
func (s *sourceDigest) hashesWhereDigestsDiffer(ctx context.Context, r replica, c Comparison) (map[int32]map[catalog.ID]hashAndSize, error) {
	got := make([]digest, len(s.all))
	err := r.scan(ctx, func(products []catalog.Product) error {
		for _, p := range products {
			h, err := hashProduct(p)
			if err != nil {
				return err
			}
			got[catalog.Shard(p.ID, len(s.all))].add(h)
		}
		return s.reportPage(ctx, r.name, len(products), c.Products)
	})
	if err != nil {
		return nil, err
	}
	want := make(map[int32]map[catalog.ID]hashAndSize)
	for _, shard := range c.Shards {
		if got[shard] == s.expected(r)[shard] {
			continue
		}
		want[shard] = map[catalog.ID]hashAndSize{}
		if _, err := s.journal.Snapshot(ctx, shard, nil, func(products []catalog.Product) (err error) {
			for _, p := range products {
				if p = r.expect(p); p.Version > 0 && err == nil {
					var h productHash
					h, err = hashProduct(p)
					want[shard][p.ID] = hashAndSize{h, p.Size()}
				}
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	return want, nil
}

// suspectsByLookup returns the products that seem to differ in a replica that
// holds only some products. It looks up every product of the journal.
func (s *sourceDigest) suspectsByLookup(ctx context.Context, r replica, c Comparison) (map[int32][]suspect, error) {
	suspects := make(map[int32][]suspect)
	for _, shard := range c.Shards {
		if _, err := s.journal.Snapshot(ctx, shard, nil, func(products []catalog.Product) error {
			var mu sync.Mutex
			var lookups errgroup.Group
			lookups.SetLimit(maxCacheLookups)
			for _, want := range products {
				lookups.Go(func() error {
					got, ok, err := r.product(ctx, want.ID)
					if ok && !got.Equal(want) {
						mu.Lock()
						defer mu.Unlock()
						suspects[shard] = append(suspects[shard], suspect{want.ID, max(want.Size(), got.Size())})
					}
					return err
				})
			}
			if err := lookups.Wait(); err != nil {
				return err
			}
			return s.reportPage(ctx, r.name, len(products), c.Products)
		}); err != nil {
			return nil, err
		}
	}
	return suspects, nil
}

// recheck compares suspects again, repairs those that differ if s.Repair is set,
// and reports them.
func (s *sourceDigest) recheck(ctx context.Context, r replica, c *Comparison, shard int32, suspects []catalog.ID) error {
	differences, err := s.differences(ctx, r, shard, suspects)
	if err != nil || len(differences) == 0 {
		return err
	}
	if s.Repair {
		if err := s.repair(ctx, r, shard, differences); err != nil {
			return err
		}
	}
	for _, d := range differences {
		c.Differing++
		if d.Repaired {
			c.Repaired++
		}
		s.Difference(d)
	}
	return nil
}

// repair repairs products and marks those as repaired that then do not differ.
func (s *sourceDigest) repair(ctx context.Context, r replica, shard int32, differences []Difference) error {
	if err := r.repair(ctx, shard, differences); err != nil {
		return err
	}
	left, err := s.differences(ctx, r, shard, ids(differences))
	if err != nil {
		return err
	}
	for i, d := range differences {
		differences[i].Repaired = !slices.ContainsFunc(left, func(l Difference) bool { return l.Want.ID == d.Want.ID })
	}
	return nil
}

// differences returns those of the products that differ. A product differs when
// the journal holds the same version before and after the replica was read, and
// the replica, which had applied all events by then, holds another one. A product
// that changes meanwhile is compared again until it stays the same.
func (s *sourceDigest) differences(ctx context.Context, r replica, shard int32, ids []catalog.ID) (differ []Difference, err error) {
	for seen := map[catalog.ID]Difference{}; ; {
		now := make(map[catalog.ID]catalog.Product, len(ids))
		if _, err := s.journal.Snapshot(ctx, shard, ids, func(products []catalog.Product) error {
			for _, p := range products {
				now[p.ID] = p
			}
			return nil
		}); err != nil {
			return nil, err
		}
		// The products may be newer than the seq of the snapshot, but not newer than
		// this seq.
		next, err := s.journal.Next(ctx, shard)
		if err != nil {
			return nil, err
		}
		var open []catalog.ID
		for _, id := range ids {
			want := r.expect(now[id])
			want.ID = id
			if d, ok := seen[id]; ok && d.Want.Equal(want) {
				differ = append(differ, d)
				continue
			}
			seen[id] = Difference{Store: r.name, Shard: shard, Want: want}
			open = append(open, id)
		}
		if ids = open; len(ids) == 0 {
			return differ, nil
		}
		if err := waitUntilCaughtUp(ctx, r.wait, catalog.Position{Shard: shard, Seq: next - 1}); err != nil {
			return nil, err
		}
		open = nil
		for _, id := range ids {
			got, ok, err := r.product(ctx, id)
			if err != nil {
				return nil, err
			}
			got.ID = id
			d := seen[id]
			if d.Got = got; ok && !got.Equal(d.Want) {
				seen[id] = d
				open = append(open, id)
			}
		}
		if ids = open; len(ids) == 0 {
			return differ, nil
		}
	}
}
