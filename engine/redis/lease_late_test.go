package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"

	"catalog"
)

// late returns a copy of the lease. A call with this copy stands for one that
// was sent before the calls that follow, and is executed after them.
func (l *lease) late() *lease {
	return &lease{
		owner: l.owner, token: l.token, revision: l.revision, acquire: l.acquire, former: l.former, fillable: true,
		changing: map[string]bool{}, server: l.server, clock: l.clock, expires: l.expires,
	}
}

func TestLease_lateCall(t *testing.T) {
	t.Parallel()
	const shard = 0
	product := catalog.DerivedID("lamp")
	open := func(t *testing.T, server *miniredis.Miniredis) *Cache {
		c, err := Open(t.Context(), Config{URL: "redis://" + server.Addr(), Shards: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		c.dialed.Store(time.Now().Add(-time.Hour).UnixNano()) // as if the process had been connected for long
		return c
	}
	// openSingle opens a cache that takes the server for a single one. By default it takes
	// miniredis for a cluster, whose calls cannot have keys of several shards.
	openSingle := func(t *testing.T, server *miniredis.Miniredis, shards int) *Cache {
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr()}, ForceSingleClient: true, DisableCache: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return &Cache{client: client, shards: shards, ttl: defaultTTL, leases: map[int32]*lease{}}
	}
	// notFillable fails the test when the cache can be filled with the product.
	notFillable := func(t *testing.T, c *Cache) {
		t.Helper()
		if _, found, token, err := c.Product(t.Context(), product); found || token != "" || err != nil {
			t.Fatalf("Product = %v, fill token %q, %v; want a miss without a token while the product changes", found, token, err)
		}
	}
	must := func(t *testing.T, errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("a call that is executed after a later call of its process changes nothing", func(t *testing.T) {
		t.Parallel()
		c := open(t, miniredis.RunT(t)) // the clock of the server stands still: nothing expires
		must(t, c.Acquire(t.Context(), shard), c.AllowFill(t.Context(), shard))
		l := c.lease(shard)
		late := l.late()
		must(t, c.Invalidate(t.Context(), shard, []catalog.ID{product}))
		if token, _, err := c.extendOn(t.Context(), late.server, shard, late, nil, nil); token != "" || err != nil {
			t.Fatalf("late call = token %q, %v; want no token", token, err)
		}
		notFillable(t, c)
	})

	t.Run("a late acquisition does not take the lease from its successor", func(t *testing.T) {
		t.Parallel()
		server := miniredis.RunT(t)
		first, second := open(t, server), open(t, server)
		late := &lease{owner: "late", acquire: true, changing: map[string]bool{}, fillable: true}
		if _, at, err := first.extendOn(t.Context(), unknownServer, shard, late, nil, nil); err != nil {
			t.Fatal(err)
		} else {
			late.server = at
		}
		must(t, second.Acquire(t.Context(), shard), second.AllowFill(t.Context(), shard), second.Invalidate(t.Context(), shard, []catalog.ID{product}))
		if token, _, err := first.extendOn(t.Context(), late.server, shard, late, nil, nil); token != "" || err != nil {
			t.Fatalf("late acquisition = token %q, %v; want no token", token, err)
		}
		notFillable(t, second)
	})

	t.Run("leases are renewed together, and one that is not as expected gets a new token", func(t *testing.T) {
		t.Parallel()
		server := miniredis.RunT(t)
		c := openSingle(t, server, 3)
		for shard := range int32(3) {
			must(t, c.Acquire(t.Context(), shard), c.AllowFill(t.Context(), shard))
		}
		server.HSet(c.leaseKey(1), "revision", "1") // as in an old snapshot
		server.Del(c.leaseKey(2))
		var before [3]*lease
		for shard := range before {
			before[shard] = c.lease(int32(shard)).late()
		}
		server.SetTTL(c.leaseKey(0), time.Millisecond) // about to expire
		c.renew(t.Context())
		for shard, was := range before {
			l := c.lease(int32(shard))
			if renewed := l.token == was.token; renewed != (shard == 0) || l.token == "" {
				t.Errorf("lease %d has the token %q after %q; only the first one may keep it", shard, l.token, was.token)
			}
			if ttl := server.TTL(c.leaseKey(int32(shard))); ttl <= time.Millisecond {
				t.Errorf("lease %d expires after %v; want about %v", shard, ttl, leaseTTL)
			}
		}
	})

	t.Run("a renewal that is executed after a later call changes nothing", func(t *testing.T) {
		t.Parallel()
		server := miniredis.RunT(t)
		c := openSingle(t, server, 1)
		must(t, c.Acquire(t.Context(), shard), c.AllowFill(t.Context(), shard))
		late := heldLease{c.lease(shard).late(), shard}
		late.mu.Lock()
		must(t, c.Invalidate(t.Context(), shard, []catalog.ID{product}))
		before := server.Dump()
		if others := c.renewTogether(t.Context(), late.server, []heldLease{late}); len(others) != 1 {
			t.Error("the late renewal was executed")
		}
		if after := server.Dump(); after != before {
			t.Errorf("the late renewal changed\n%s\nto\n%s", before, after)
		}
		notFillable(t, c)
	})

	t.Run("a renewal without a reply discards the tokens", func(t *testing.T) {
		t.Parallel()
		server := miniredis.RunT(t)
		c := openSingle(t, server, 1)
		must(t, c.Acquire(t.Context(), shard), c.AllowFill(t.Context(), shard))
		server.SetError("no reply")
		c.renew(t.Context())
		if l := c.lease(shard); l.token != "" {
			t.Errorf("the token is %q; want none", l.token)
		}
	})

	t.Run("a former holder cannot recreate the lease when that of its successor has expired", func(t *testing.T) {
		t.Parallel()
		server := miniredis.RunT(t)
		first, second := open(t, server), open(t, server)
		must(t, first.Acquire(t.Context(), shard), second.Acquire(t.Context(), shard))
		server.FastForward(2 * leaseTTL)
		if err := first.Invalidate(t.Context(), shard, []catalog.ID{product}); !errors.Is(err, catalog.ErrFenced) {
			t.Fatalf("Invalidate = %v; want ErrFenced", err)
		}
		must(t, second.AllowFill(t.Context(), shard))
	})
}
