package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"catalog"
)

// late returns a copy of the lease, with which a call is executed that was sent
// before the calls that follow.
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
		c.dialed.Store(time.Now().Add(-time.Hour).UnixNano()) // as if connected for long
		return c
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
		c := open(t, miniredis.RunT(t)) // its clock stands still: nothing expires
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
