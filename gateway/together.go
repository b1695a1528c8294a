package gateway

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

const (
	// togetherCalls is how many calls for products are under way before others
	// wait for one of them to end: two keep reader and gateway busy.
	togetherCalls = 2
	// togetherMany is how many who wait bring one more call, until nobody waits.
	togetherMany = 10
	// togetherMost is how many products one call asks for; the contract allows no more.
	togetherMost = 256
	// togetherPatience is how long a call keeps others waiting. What takes longer
	// waits for a position or an engine, not for its turn.
	togetherPatience = 5 * time.Millisecond
	// togetherWait is how long a call for several products takes at most, which a
	// reader does not wait for.
	togetherWait = 200 * time.Millisecond
)

// together asks the reader for products: for one that is asked for alone at
// once, for those that are asked for meanwhile with one call. So the more there
// is to do, the less each costs, and nobody waits for others to come.
type together struct {
	reader catalogv1.ReaderServiceClient

	mu      sync.Mutex
	calls   int // under way
	waiting []*wish
}

// wish is a product that somebody waits for.
type wish struct {
	ctx      context.Context
	question *catalogv1.GetProductRequest
	fate     chan fate // gets one
}

// fate is what becomes of a wish.
type fate struct {
	product catalog.Product
	encoded []byte              // the product, to be decoded by who gets it; nil if it has been
	as      *catalogv1.Position // of its shard, as it was read
	err     error
	alone   bool // it has to be asked for alone
}

// product answers as the reader's GetProduct does: the product, and the position
// of its shard as which it was read.
func (t *together) product(ctx context.Context, q *catalogv1.GetProductRequest) (catalog.Product, *catalogv1.Position, error) {
	w := &wish{ctx: ctx, question: q, fate: make(chan fate, 1)}
	t.mu.Lock()
	t.waiting = append(t.waiting, w)
	turn := t.calls < togetherCalls || t.calls == togetherCalls && len(t.waiting) >= togetherMany
	if turn {
		t.calls++
	}
	t.mu.Unlock()
	if turn {
		go t.call()
	}
	select {
	case f := <-w.fate:
		if f.encoded != nil {
			var err error
			f.product, err = wire.DecodeProduct(f.encoded)
			f.alone = err != nil // a broken entry: the view has it whole
		}
		switch {
		case f.alone:
			f = t.alone(ctx, q)
		case f.err == nil && !f.product.Exists():
			f.err = status.Error(codes.NotFound, catalog.ErrNotFound.Error())
		}
		return f.product, f.as, f.err
	case <-ctx.Done():
		return catalog.Product{}, nil, status.FromContextError(ctx.Err()).Err()
	}
}

// call asks for what is waited for. Those who come meanwhile are next when it
// ends, or takes long.
func (t *together) call() {
	runtime.Gosched() // who is about to come comes along
	t.mu.Lock()
	n := min(len(t.waiting), togetherMost)
	if n == 0 {
		t.calls--
		t.mu.Unlock()
		return
	}
	all := t.waiting[:n:n]
	t.waiting = slices.Clone(t.waiting[n:])
	t.mu.Unlock()

	next := sync.OnceFunc(func() { go t.call() })
	defer time.AfterFunc(togetherPatience, next).Stop()
	defer next()
	if n == 1 {
		all[0].fate <- t.alone(all[0].ctx, all[0].question)
		return
	}
	t.several(all)
}

// alone asks for one product, with all the time that a read may take. Those who
// are answered together need no clock of their own.
func (t *together) alone(ctx context.Context, q *catalogv1.GetProductRequest) fate {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	r, err := t.reader.GetProduct(ctx, q)
	if err != nil {
		return fate{err: err}
	}
	p, err := wire.ProductFromProto(r.GetProduct())
	return fate{product: p, as: r.GetPosition(), err: err}
}

// several asks for several products with one call.
func (t *together) several(all []*wish) {
	ctx, cancel := context.WithTimeout(context.Background(), togetherWait)
	defer cancel()
	questions := make([]*catalogv1.GetProductRequest, len(all))
	for i, w := range all {
		questions[i] = w.question
		// The call is part of the first trace that is kept.
		if span := trace.SpanContextFromContext(w.ctx); span.IsSampled() && !trace.SpanContextFromContext(ctx).IsValid() {
			ctx = trace.ContextWithSpanContext(ctx, span)
		}
	}
	r, err := t.reader.GetProducts(ctx, &catalogv1.GetProductsRequest{Products: questions})
	answers := r.GetResults()
	for i, w := range all {
		if err != nil || i >= len(answers) || !answers[i].GetKnown() {
			w.fate <- fate{alone: true}
			continue
		}
		w.fate <- fate{encoded: answers[i].GetProduct(), as: answers[i].GetPosition()}
	}
}
