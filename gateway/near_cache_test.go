package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"catalog"
)

// TestNearCache runs random steps of a gateway, a reader and a log: events arrive
// late, twice or not at all; the view is ahead or behind; reads finish late; and
// entries are evicted.
func TestNearCache(t *testing.T) {
	hits := 0
	rapid.Check(t, func(t *rapid.T) {
		m := &cacheModel{cache: newNearCache(1<<20, prometheus.NewRegistry()), now: time.Unix(1_000_000_000, 0)}
		m.cache.Begin(0, 1)
		for i := range m.ids {
			m.ids[i] = catalog.DerivedID(fmt.Sprint(i))
			m.ids[i][15] = byte(i / 2) // two products share an invalidation
		}
		// Steps are listed as often as they should be drawn.
		steps := []func(*rapid.T){
			m.settle, m.settle, m.apply, m.apply, m.publish, m.publish,
			m.start, m.start, m.read, m.read, m.finish, m.finish, m.fetch, m.fetch, m.lookup, m.lookup, m.lookup, m.lookup,
			m.wait, m.evict, m.miss, m.restart,
		}
		for range 1_000 {
			rapid.SampledFrom(steps).Draw(t, "step")(t)
		}
		hits += m.hits
	})
	if hits == 0 {
		t.Error("void: no lookup was a hit")
	}
}

// cacheModel is the state of the model.
type cacheModel struct {
	cache    *nearCache
	now      time.Time
	ids      [3]catalog.ID
	events   []catalog.Event
	view     int // number of events that the view has applied
	followed int // number of events that the gateway has received or missed
	reads    []*modelRead
	returned [3]int64 // the highest version of each product that a client has received
	hits     int
}

// modelRead is a read of a product from the reader.
type modelRead struct {
	fillToken
	product int
	read    bool
	version int64
	seq     int64
}

func (m *cacheModel) draw(t *rapid.T) int {
	return rapid.IntRange(0, len(m.ids)-1).Draw(t, "product")
}

// version returns the version of the product after the first n events.
func (m *cacheModel) version(product, n int) (v int64) {
	for _, e := range m.events[:n] {
		if e.Product.ID == m.ids[product] {
			v = e.Product.Version
		}
	}
	return v
}

// missing reports whether the product is deleted, or not yet created, at the
// version.
func missing(version int64) bool { return version%4 == 0 }

// settle adds an event to the log.
func (m *cacheModel) settle(t *rapid.T) {
	i := m.draw(t)
	e := catalog.Event{Position: catalog.Position{Seq: int64(len(m.events) + 1)}, Outcome: catalog.Refused}
	e.Product = catalog.Product{ID: m.ids[i], Version: m.version(i, len(m.events))}
	if rapid.IntRange(0, 9).Draw(t, "refused") > 0 {
		e.Outcome = catalog.Changed
		e.Product.Version++
	}
	m.events = append(m.events, e)
}

// publish delivers events to the gateway, some of them twice.
func (m *cacheModel) publish(t *rapid.T) {
	to := rapid.IntRange(m.followed, len(m.events)).Draw(t, "to")
	from := rapid.IntRange(max(0, m.followed-2), m.followed).Draw(t, "from")
	m.cache.Publish(0, m.events[from:to])
	m.followed = to
}

// miss drops events that the gateway does not receive.
func (m *cacheModel) miss(t *rapid.T) {
	m.followed = rapid.IntRange(m.followed, len(m.events)).Draw(t, "to")
}

// apply makes the view apply events.
func (m *cacheModel) apply(t *rapid.T) {
	m.view = rapid.IntRange(m.view, len(m.events)).Draw(t, "to")
}

func (m *cacheModel) evict(t *rapid.T) { m.cache.products.Invalidate(m.ids[m.draw(t)]) }

func (m *cacheModel) wait(*rapid.T) { m.now = m.now.Add(cacheTTL / 3) }

// restart ends and begins the shard. Meanwhile products change, and clients read them.
func (m *cacheModel) restart(t *rapid.T) {
	m.cache.End(0)
	if p, _ := m.cache.lookup(m.ids[0], catalog.Position{}, m.now); p != nil {
		panic("a lookup is a hit while the shard is not followed")
	}
	for range rapid.IntRange(0, 3).Draw(t, "meanwhile") {
		m.settle(t)
		m.apply(t)
		m.fetch(t)
	}
	m.cache.Begin(0, 1)
	m.followed = len(m.events)
}

// start starts a read.
func (m *cacheModel) start(t *rapid.T) {
	i := m.draw(t)
	m.reads = append(m.reads, &modelRead{fillToken: m.cache.startFill(m.ids[i], m.now), product: i})
}

// read makes the reader read the products of some reads.
func (m *cacheModel) read(t *rapid.T) {
	for _, r := range m.reads {
		if !r.read && rapid.Bool().Draw(t, "now") {
			m.readView(t, r)
		}
	}
}

// readView reads the view. The reader knows at most how far the view is, and
// sometimes less.
func (m *cacheModel) readView(t *rapid.T, r *modelRead) {
	r.read, r.seq, r.version = true, int64(m.view), m.version(r.product, m.view)
	if rapid.IntRange(0, 3).Draw(t, "late") == 0 {
		r.seq = int64(rapid.IntRange(0, m.view).Draw(t, "seq"))
	}
}

// fetch is a read without other steps in between.
func (m *cacheModel) fetch(t *rapid.T) {
	m.start(t)
	n := len(m.reads) - 1
	m.readView(t, m.reads[n])
	m.finishRead(n)
}

// finish returns the results of some reads to the gateway.
func (m *cacheModel) finish(t *rapid.T) {
	for n := len(m.reads) - 1; n >= 0; n-- {
		if m.reads[n].read && rapid.Bool().Draw(t, "now") {
			m.finishRead(n)
		}
	}
}

func (m *cacheModel) finishRead(n int) {
	r := m.reads[n]
	m.reads = append(m.reads[:n], m.reads[n+1:]...)
	var p *cachedProduct
	if !missing(r.version) {
		p = newCachedProduct(catalog.Product{ID: r.id, Version: r.version}, catalog.BeforeLastReduction)
	}
	m.cache.fill(r.fillToken, p, r.seq)
	m.returned[r.product] = max(m.returned[r.product], r.version)
}

// lookup looks a product up and checks what the cache promises.
func (m *cacheModel) lookup(t *rapid.T) {
	i := m.draw(t)
	at := catalog.Position{Seq: int64(rapid.IntRange(0, len(m.events)).Draw(t, "at"))}
	p, _ := m.cache.lookup(m.ids[i], at, m.now)
	if p == nil {
		return
	}
	m.hits++
	if p.version < m.returned[i] {
		t.Fatalf("lookup of product %d = version %d after version %d was returned", i, p.version, m.returned[i])
	}
	if least := m.version(i, int(at.Seq)); p.version < least {
		t.Fatalf("lookup of product %d at position %v = version %d, want at least %d", i, at, p.version, least)
	}
	if age := m.now.Sub(p.readAt); age >= cacheTTL {
		t.Fatalf("lookup = an entry of %v ago", age)
	}
	m.returned[i] = p.version
}

func TestNearCache_lateRead(t *testing.T) {
	n, id, now := newNearCache(1<<20, prometheus.NewRegistry()), catalog.DerivedID("p"), time.Now()
	n.Begin(0, 1)
	e := catalog.Event{Position: catalog.Position{Seq: 1}, Outcome: catalog.Changed, Product: catalog.Product{ID: id, Version: 2}}
	fill := func(token fillToken, version, seq int64) {
		n.fill(token, newCachedProduct(catalog.Product{ID: id, Version: version}, catalog.BeforeLastReduction), seq)
	}
	late := n.startFill(id, now)
	n.Publish(0, []catalog.Event{e})
	fill(late, 1, 0)
	fill(n.startFill(id, now), 1, 0) // the view is behind
	if p, _ := n.lookup(id, catalog.Position{}, now); p != nil {
		t.Fatalf("lookup = version %d, want none: it was read before the event was applied", p.version)
	}
	fill(n.startFill(id, now), 2, 1)
	if p, _ := n.lookup(id, e.Position, now); p == nil || p.version != 2 {
		t.Fatal("a read that has applied the event is not cached")
	}
}

func TestNearCache_refresh(t *testing.T) {
	n, id, start := newNearCache(1<<20, prometheus.NewRegistry()), catalog.DerivedID("p"), time.Now()
	n.Begin(0, 1)
	fill := func(age time.Duration, version, seq int64) {
		n.fill(n.startFill(id, start.Add(age)), newCachedProduct(catalog.Product{ID: id, Version: version}, catalog.BeforeLastReduction), seq)
	}
	lookup := func(age time.Duration, wantVersion int64, wantRefresh bool) {
		t.Helper()
		p, refresh := n.lookup(id, catalog.Position{}, start.Add(age))
		if p == nil || p.version != wantVersion || refresh != wantRefresh {
			t.Fatalf("lookup after %v = %+v, refresh %v; want version %d, refresh %v", age, p, refresh, wantVersion, wantRefresh)
		}
	}
	fill(0, 2, 2)
	lookup(refreshAge-1, 2, false)
	lookup(refreshAge, 2, true)
	lookup(refreshAge, 2, false) // the first hit does it

	fill(refreshAge, 1, 1) // by another reader, whose view is behind
	lookup(refreshAge, 2, false)
	fill(refreshAge, 2, 3)
	lookup(cacheTTL, 2, false)
	lookup(2*refreshAge, 2, true)

	fill(refreshAge+cacheTTL, 1, 1) // the newer entry has expired
	lookup(refreshAge+cacheTTL, 1, false)
}
