package gateway

import (
	"bytes"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/internal/metrics"
	"catalog/internal/wire"
)

// nearCache keeps the responses of single-product reads, as the bytes that are
// sent. The events that the gateway follows invalidate them.
//
// It promises to clients of this gateway: a read with a position never returns
// an older version than that; a read without one never returns an older version
// than this gateway has returned before, nor one read more than cacheTTL ago.
// A hit on an entry older than refreshAge makes the gateway read the product again
// before the entry expires, so that a product that is read often has no misses by age.
// An entry is kept only if the reader's view had applied every event of the
// product that the gateway had followed by then. Entries are never built from
// events: the view, which other gateways read, may not have applied them yet.
type nearCache struct {
	products *otter.Cache[catalog.ID, *cachedProduct] // nil when the cache is disabled
	shards   atomic.Pointer[[]shardWindow]            // nil until the first Begin

	hits, misses, bypasses prometheus.Counter
}

// cachedProduct is the response of a read of one product.
type cachedProduct struct {
	body    []byte
	etag    []string // in the form of http.Header
	length  []string // Content-Length, in the form of http.Header
	version int64
	seq     int64 // the product is as it was at this seq of its shard, or later
	began   int64 // window in which the product was read
	readAt  time.Time

	refreshing atomic.Bool // a hit has started to read the product again
}

func newCachedProduct(p catalog.Product, policy catalog.PriorPolicy) *cachedProduct {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(wire.ProductToJSON(p, policy)) // a product always encodes
	return &cachedProduct{body: b.Bytes(), etag: []string{etag(p.Version)}, length: []string{strconv.Itoa(b.Len())}, version: p.Version}
}

// shardWindow is the range of a shard's events that the gateway has followed
// without a gap.
type shardWindow struct {
	followed atomic.Bool
	began    atomic.Int64 // number of calls of Begin; entries of an earlier window are not used
	from, to atomic.Int64 // seqs; 0 before the first event

	mu            sync.Mutex
	invalidations [256]invalidation // by the last byte of the product id
}

// invalidation keeps late reads out of the cache. Products with the same last
// byte of their ids share one: a conflict costs a miss, never a stale entry.
type invalidation struct {
	seq   int64 // seq of the last event of these products
	fills int64 // number of reads that have finished
}

func newNearCache(size int64, reg prometheus.Registerer) *nearCache {
	lookups := metrics.CacheLookups(reg, "near")
	n := &nearCache{hits: lookups.Hits, misses: lookups.Misses, bypasses: lookups.Bypasses}
	if size > 0 {
		n.products = otter.Must(&otter.Options[catalog.ID, *cachedProduct]{
			MaximumWeight: uint64(size),
			Weigher:       func(_ catalog.ID, p *cachedProduct) uint32 { return uint32(len(p.body) + cacheEntryOverhead) },
		})
	}
	return n
}

// window returns the window of the shard, or nil when the shard is not followed.
func (n *nearCache) window(shard int32) *shardWindow {
	all := n.shards.Load()
	if all == nil || int(shard) >= len(*all) || !(*all)[shard].followed.Load() {
		return nil
	}
	return &(*all)[shard]
}

// shard returns the shard of the product, or 0 while the number of shards is
// unknown.
func (n *nearCache) shard(id catalog.ID) int32 {
	if all := n.shards.Load(); all != nil {
		return catalog.Shard(id, len(*all))
	}
	return 0
}

// shardCount returns the number of shards, or 0 while it is unknown.
func (n *nearCache) shardCount() int {
	if all := n.shards.Load(); all != nil {
		return len(*all)
	}
	return 0
}

// followed reports whether the gateway has followed the event at the position.
func (n *nearCache) followed(at catalog.Position) bool {
	w := n.window(at.Shard)
	return w != nil && w.to.Load() >= at.Seq
}

// fresh reports whether the entry of a product in the window may be returned.
func (w *shardWindow) fresh(p *cachedProduct, now time.Time) bool {
	return p.began == w.began.Load() && p.seq >= w.from.Load() && now.Sub(p.readAt) < cacheTTL
}

// lookup returns the cached product if it is as new as the position requires, or
// nil. refresh reports whether the caller has to read the product again in the
// background: once for each entry that has reached refreshAge.
func (n *nearCache) lookup(id catalog.ID, at catalog.Position, now time.Time) (p *cachedProduct, refresh bool) {
	w := n.window(n.shard(id))
	if n.products == nil || w == nil {
		n.bypasses.Inc()
		return nil, false
	}
	if at.Seq > 0 && !n.followed(at) {
		n.bypasses.Inc()
		return nil, false
	}
	p, ok := n.products.GetIfPresent(id)
	if !ok || !w.fresh(p, now) {
		n.misses.Inc()
		return nil, false
	}
	n.hits.Inc()
	return p, now.Sub(p.readAt) >= refreshAge && p.refreshing.CompareAndSwap(false, true)
}

// fillToken identifies a read from the reader whose result may be cached.
type fillToken struct {
	id     catalog.ID
	window *shardWindow // nil when the result is not cached
	began  int64        // began of the window when the read started
	fills  int64        // fills of the invalidation when the read started
	start  time.Time
}

// startFill is called before a product is read from the reader.
func (n *nearCache) startFill(id catalog.ID, now time.Time) fillToken {
	token := fillToken{id: id, start: now}
	if n.products == nil {
		return token
	}
	if token.window = n.window(n.shard(id)); token.window != nil {
		token.window.mu.Lock()
		defer token.window.mu.Unlock()
		token.began, token.fills = token.window.began.Load(), token.window.invalidations[id[15]].fills
	}
	return token
}

// fill caches the result of a read, as of the seq or later; p is nil when the
// product does not exist. It caches nothing when another read finished in the
// meantime, or when the reader had not applied the last event of the product. It keeps
// a newer entry that another reader has returned.
func (n *nearCache) fill(token fillToken, p *cachedProduct, seq int64) {
	w := token.window
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i := &w.invalidations[token.id[15]]
	alone := i.fills == token.fills && token.began == w.began.Load()
	i.fills++
	switch old, ok := n.products.GetEntryQuietly(token.id); {
	case p != nil && ok && p.version < old.Value.version && w.fresh(old.Value, token.start):
	case p != nil && alone && seq >= i.seq:
		p.seq, p.began, p.readAt = seq, token.began, token.start
		n.products.Set(token.id, p)
	case ok && (p == nil || p.version > old.Value.version):
		n.products.Invalidate(token.id)
	}
}

// Begin resets the window of the shard and drops its entries: while the shard was not
// followed, the gateway may have returned newer versions than these. It implements
// subscriber.
func (n *nearCache) Begin(shard int32, shards int) {
	if n.shards.Load() == nil {
		all := make([]shardWindow, shards)
		n.shards.CompareAndSwap(nil, &all)
	}
	w := &(*n.shards.Load())[shard]
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began.Add(1)
	w.from.Store(0)
	w.to.Store(0)
	for i := range w.invalidations {
		w.invalidations[i].seq = 0
	}
	w.followed.Store(true)
}

// Publish invalidates the products that the events change.
func (n *nearCache) Publish(shard int32, events []catalog.Event) {
	w := n.window(shard)
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range events {
		to := w.to.Load()
		if e.Seq <= to {
			continue // a repeated event
		}
		if e.Seq > to+1 {
			w.from.Store(e.Seq - 1) // the missing events may have changed any product
		}
		if e.Applied() {
			w.invalidations[e.Product.ID[15]].seq = e.Seq
			if n.products != nil {
				n.products.Invalidate(e.Product.ID)
			}
		}
		w.to.Store(e.Seq)
	}
}

// End disables the cache for the shard until the next Begin.
func (n *nearCache) End(shard int32) {
	if w := n.window(shard); w != nil {
		w.followed.Store(false)
	}
}
