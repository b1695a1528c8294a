package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"catalog"
)

// TestNear plays a gateway, a reader and a log by hand, one step at a time and
// in any order: events are followed late, twice or not at all, the view is
// ahead or behind, answers of the reader come late, and entries are evicted.
func TestNear(t *testing.T) {
	hits := 0
	rapid.Check(t, func(t *rapid.T) {
		w := &nearWorld{near: newNear(1<<20, prometheus.NewRegistry()), now: time.Unix(1_000_000_000, 0)}
		w.near.begin(0, 1)
		for i := range w.ids {
			w.ids[i] = catalog.DerivedID(fmt.Sprint(i))
			w.ids[i][15] = byte(i / 2) // two share a floor
		}
		// What comes more often is there more often.
		steps := []func(*rapid.T){
			w.settle, w.settle, w.apply, w.apply, w.follow, w.follow,
			w.ask, w.ask, w.read, w.read, w.answer, w.answer, w.fetch, w.fetch, w.get, w.get, w.get, w.get,
			w.pass, w.evict, w.miss, w.begin,
		}
		for range 1_000 {
			rapid.SampledFrom(steps).Draw(t, "step")(t)
		}
		hits += w.hits
	})
	if hits == 0 {
		t.Error("void: nothing was answered from near")
	}
}

type nearWorld struct {
	near     *near
	now      time.Time
	ids      [3]catalog.ID
	events   []catalog.Event
	view     int // events that it has applied
	followed int // events that the gateway has followed, or missed
	asked    []*asking
	answered [3]int64 // the highest version that anybody was answered
	hits     int
}

type asking struct {
	question
	product int
	read    bool
	version int64
	at      int64
}

func (w *nearWorld) one(t *rapid.T) int { return rapid.IntRange(0, len(w.ids)-1).Draw(t, "product") }

// version is that of a product after so many events.
func (w *nearWorld) version(product, events int) (v int64) {
	for _, e := range w.events[:events] {
		if e.Product.ID == w.ids[product] {
			v = e.Product.Version
		}
	}
	return v
}

// gone says whether the product is deleted at that version, or not yet there.
func gone(version int64) bool { return version%4 == 0 }

func (w *nearWorld) settle(t *rapid.T) {
	i := w.one(t)
	e := catalog.Event{Position: catalog.Position{Seq: int64(len(w.events) + 1)}, Outcome: catalog.Refused}
	e.Product = catalog.Product{ID: w.ids[i], Version: w.version(i, len(w.events))}
	if rapid.IntRange(0, 9).Draw(t, "refused") > 0 {
		e.Outcome = catalog.Changed
		e.Product.Version++
	}
	w.events = append(w.events, e)
}

func (w *nearWorld) follow(t *rapid.T) {
	to := rapid.IntRange(w.followed, len(w.events)).Draw(t, "to")
	from := rapid.IntRange(max(0, w.followed-2), w.followed).Draw(t, "from") // some come twice
	w.near.follow(0, w.events[from:to])
	w.followed = to
}

// miss is events that the gateway does not get.
func (w *nearWorld) miss(t *rapid.T) {
	w.followed = rapid.IntRange(w.followed, len(w.events)).Draw(t, "to")
}

func (w *nearWorld) apply(t *rapid.T) { w.view = rapid.IntRange(w.view, len(w.events)).Draw(t, "to") }

func (w *nearWorld) evict(t *rapid.T) { w.near.pages.Invalidate(w.ids[w.one(t)]) }

func (w *nearWorld) pass(*rapid.T) { w.now = w.now.Add(nearTerm / 3) }

func (w *nearWorld) begin(*rapid.T) {
	w.near.end(0)
	if w.near.page(w.ids[0], catalog.Position{}, w.now) != nil {
		panic("what is not followed is not known")
	}
	w.near.begin(0, 1)
	w.followed = len(w.events)
}

func (w *nearWorld) ask(t *rapid.T) {
	i := w.one(t)
	w.asked = append(w.asked, &asking{question: w.near.ask(w.ids[i], w.now), product: i})
}

func (w *nearWorld) read(t *rapid.T) {
	for _, q := range w.asked {
		if !q.read && rapid.Bool().Draw(t, "now") {
			w.readOf(t, q)
		}
	}
}

// readOf is what the reader does: it knows at most how far the view is.
func (w *nearWorld) readOf(t *rapid.T, q *asking) {
	q.read, q.at, q.version = true, int64(w.view), w.version(q.product, w.view)
	if rapid.IntRange(0, 3).Draw(t, "late") == 0 {
		q.at = int64(rapid.IntRange(0, w.view).Draw(t, "at"))
	}
}

// fetch is a question that is answered before anything else happens.
func (w *nearWorld) fetch(t *rapid.T) {
	w.ask(t)
	n := len(w.asked) - 1
	w.readOf(t, w.asked[n])
	w.answerTo(n)
}

func (w *nearWorld) answer(t *rapid.T) {
	for n := len(w.asked) - 1; n >= 0; n-- {
		if w.asked[n].read && rapid.Bool().Draw(t, "now") {
			w.answerTo(n)
		}
	}
}

func (w *nearWorld) answerTo(n int) {
	q := w.asked[n]
	w.asked = append(w.asked[:n], w.asked[n+1:]...)
	var p *page
	if !gone(q.version) {
		p = newPage(catalog.Product{ID: q.id, Version: q.version})
	}
	w.near.answered(q.question, p, q.at)
	w.answered[q.product] = max(w.answered[q.product], q.version)
}

func (w *nearWorld) get(t *rapid.T) {
	i := w.one(t)
	at := catalog.Position{Seq: int64(rapid.IntRange(0, len(w.events)).Draw(t, "at"))}
	p := w.near.page(w.ids[i], at, w.now)
	if p == nil {
		return
	}
	w.hits++
	if p.version < w.answered[i] {
		t.Fatalf("version %d of product %d after version %d had been answered", p.version, i, w.answered[i])
	}
	if least := w.version(i, int(at.Seq)); p.version < least {
		t.Fatalf("version %d of product %d at position %v, where it is at %d", p.version, i, at, least)
	}
	if age := w.now.Sub(p.asked); age >= nearTerm {
		t.Fatalf("an answer of %v ago", age)
	}
	w.answered[i] = p.version
}

func TestAnAnswerThatIsOlderThanAnEventIsNotKept(t *testing.T) {
	n, id, now := newNear(1<<20, prometheus.NewRegistry()), catalog.DerivedID("p"), time.Now()
	n.begin(0, 1)
	e := catalog.Event{Position: catalog.Position{Seq: 1}, Outcome: catalog.Changed, Product: catalog.Product{ID: id, Version: 2}}
	answer := func(q question, version, at int64) {
		n.answered(q, newPage(catalog.Product{ID: id, Version: version}), at)
	}
	late := n.ask(id, now)
	n.follow(0, []catalog.Event{e})
	answer(late, 1, 0)
	answer(n.ask(id, now), 1, 0) // the view is behind
	if p := n.page(id, catalog.Position{}, now); p != nil {
		t.Fatalf("version %d is kept", p.version)
	}
	answer(n.ask(id, now), 2, 1)
	if p := n.page(id, e.Position, now); p == nil || p.version != 2 {
		t.Fatal("what is new enough is not kept")
	}
}
