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
	"catalog/internal/wire"
)

// nearTerm is how long an answer is used without asking the reader again. The
// events say sooner when a product has changed; this is for when they do not
// come.
const nearTerm = time.Second

// near keeps the answers to those who read one product, as the bytes that are
// sent, and is kept true by the events that the gateway follows.
//
// What it promises to those who read through this gateway: with a position,
// never an older product than that; without one, never an older one than this
// gateway has answered before, nor older than a second. So an answer is kept
// only if it comes from the view as it was after all events of the product that
// were followed by then, and an event of the product ends it. It is never made
// of an event: the view, which others read, might not have come to that yet.
type near struct {
	pages  *otter.Cache[catalog.ID, *page] // nil for none
	shards atomic.Pointer[[]stretch]

	hits, misses, passed prometheus.Counter
}

// page is the answer to who reads a product.
type page struct {
	body    []byte
	etag    []string // as headers have it
	length  []string
	version int64
	at      int64 // it is as the product was at this seq of its shard, or later
	asked   time.Time
}

func newPage(p catalog.Product) *page {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(wire.ProductToJSON(p)) // what is made of a product cannot fail to be JSON
	return &page{body: b.Bytes(), etag: []string{etag(p.Version)}, length: []string{strconv.Itoa(b.Len())}, version: p.Version}
}

// stretch is what is known of the events of one shard: they are followed without
// a gap from one seq to another.
type stretch struct {
	on       atomic.Bool  // the shard is followed
	from, to atomic.Int64 // 0 before the first event

	mu     sync.Mutex
	floors [256]floor // by the last byte of the product's id
}

// floor is what keeps late answers out.
type floor struct {
	seq     int64 // of the last event that was followed
	answers int64 // that came from the reader
}

func newNear(size int64, reg prometheus.Registerer) *near {
	results := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catalog_gateway_near_total", Help: "Products that were read: answered here (hit), asked for because they were not here (miss) or because it was not known whether what is here is new enough (passed).",
	}, []string{"result"})
	n := &near{hits: results.WithLabelValues("hit"), misses: results.WithLabelValues("miss"), passed: results.WithLabelValues("passed")}
	reg.MustRegister(results)
	if size > 0 {
		n.pages = otter.Must(&otter.Options[catalog.ID, *page]{
			MaximumWeight: uint64(size),
			Weigher:       func(_ catalog.ID, p *page) uint32 { return uint32(len(p.body) + 300) },
		})
	}
	return n
}

// stretch is that of the shard, or nil when it is not followed.
func (n *near) stretch(shard int32) *stretch {
	all := n.shards.Load()
	if all == nil || int(shard) >= len(*all) || !(*all)[shard].on.Load() {
		return nil
	}
	return &(*all)[shard]
}

// shard is the one of the product, or 0 while nothing is known of shards.
func (n *near) shard(id catalog.ID) int32 {
	if all := n.shards.Load(); all != nil {
		return catalog.Shard(id, len(*all))
	}
	return 0
}

// page is the answer that is here, which is as the product was at the position
// or later, or nil.
func (n *near) page(id catalog.ID, at catalog.Position, now time.Time) *page {
	s := n.stretch(n.shard(id))
	if n.pages == nil || s == nil {
		n.passed.Inc()
		return nil
	}
	if at.Seq > 0 {
		if t := n.stretch(at.Shard); t == nil || t.to.Load() < at.Seq {
			n.passed.Inc()
			return nil
		}
	}
	p, ok := n.pages.GetIfPresent(id)
	if !ok || p.at < s.from.Load() || now.Sub(p.asked) >= nearTerm {
		n.misses.Inc()
		return nil
	}
	n.hits.Inc()
	return p
}

// question is asked of the reader. Its answer is kept if nothing has come
// between.
type question struct {
	id      catalog.ID
	stretch *stretch // nil when the answer is not kept
	answers int64
	asked   time.Time
}

func (n *near) ask(id catalog.ID, now time.Time) question {
	q := question{id: id, asked: now}
	if n.pages == nil {
		return q
	}
	if q.stretch = n.stretch(n.shard(id)); q.stretch != nil {
		q.stretch.mu.Lock()
		defer q.stretch.mu.Unlock()
		q.answers = q.stretch.floors[id[15]].answers
	}
	return q
}

// answered keeps the answer to a question, of which p is nil when there is no
// such product. It is as the product was at the seq, or later.
func (n *near) answered(q question, p *page, at int64) {
	s := q.stretch
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &s.floors[q.id[15]]
	alone := f.answers == q.answers
	f.answers++
	switch old, there := n.pages.GetEntryQuietly(q.id); {
	case p != nil && alone && at >= f.seq:
		p.at, p.asked = at, q.asked
		n.pages.Set(q.id, p)
	case there && (p == nil || p.version > old.Value.version):
		n.pages.Invalidate(q.id)
	}
}

// begin is called when the shard, of so many, is followed from here on.
func (n *near) begin(shard int32, shards int) {
	if n.shards.Load() == nil {
		all := make([]stretch, shards)
		n.shards.CompareAndSwap(nil, &all)
	}
	s := &(*n.shards.Load())[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from.Store(0)
	s.to.Store(0)
	for i := range s.floors {
		s.floors[i].seq = 0
	}
	s.on.Store(true)
}

// follow ends the answers that the events make old.
func (n *near) follow(shard int32, events []catalog.Event) {
	s := n.stretch(shard)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		to := s.to.Load()
		if e.Seq <= to {
			continue // it has come before
		}
		if e.Seq > to+1 {
			s.from.Store(e.Seq - 1) // what was missed may have been about anything
		}
		if e.Applied() {
			s.floors[e.Product.ID[15]].seq = e.Seq
			if n.pages != nil {
				n.pages.Invalidate(e.Product.ID)
			}
		}
		s.to.Store(e.Seq)
	}
}

// end is called when the shard is followed no more.
func (n *near) end(shard int32) {
	if s := n.stretch(shard); s != nil {
		s.on.Store(false)
	}
}
