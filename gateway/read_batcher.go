package gateway

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/rpc"
	"catalog/internal/wire"
)

// readBatcher sends a read immediately while a call slot is free; reads that
// arrive while all slots are busy share the next GetProducts call. So the cost
// of a read falls as the load rises, and no read is delayed to fill a batch.
type readBatcher struct {
	reader catalogv1.ReaderServiceClient

	mu      sync.Mutex
	calls   int // calls in progress
	waiting []*readRequest
}

// readRequest is a product that a client waits for.
type readRequest struct {
	ctx     context.Context
	request *catalogv1.GetProductRequest
	share   *share          // share of a call for this product alone
	result  chan readResult // receives one result
}

// readResult is the result of a read. A result of a shared call has the product
// encoded, so that the request that waits decodes it, and not the shared call.
type readResult struct {
	product catalog.Product
	encoded []byte              // the product; nil when product is set
	readAt  *catalogv1.Position // position of the product's shard
	err     error
	single  bool // the product has to be read with a call of its own
}

// product returns the product and the position at which the reader read it, as
// the reader's GetProduct does.
func (b *readBatcher) product(ctx context.Context, q *catalogv1.GetProductRequest, s *share) (catalog.Product, *catalogv1.Position, error) {
	r := &readRequest{ctx: ctx, request: q, share: s, result: make(chan readResult, 1)}
	b.mu.Lock()
	b.waiting = append(b.waiting, r)
	start := b.calls < batchCalls || b.calls == batchCalls && len(b.waiting) >= extraCallAt
	if start {
		b.calls++
	}
	b.mu.Unlock()
	if start {
		go b.call()
	}
	select {
	case result := <-r.result:
		if result.encoded != nil {
			var err error
			result.product, err = wire.DecodeProduct(result.encoded)
			result.single = err != nil // a damaged cache entry: GetProduct reads the view
		}
		switch {
		case result.single:
			result = b.single(r)
		case result.err == nil && !result.product.Exists():
			result.err = catalog.ErrNotFound
		}
		return result.product, result.readAt, result.err
	case <-ctx.Done():
		return catalog.Product{}, nil, rpc.ToStatus(ctx.Err())
	}
}

// call reads the waiting products. When it ends, or takes longer than
// batchSlotTimeout, its slot goes to the reads that arrived in the meantime.
func (b *readBatcher) call() {
	runtime.Gosched() // lets requests that are about to arrive join
	b.mu.Lock()
	n := min(len(b.waiting), maxBatch)
	if n == 0 {
		b.calls--
		b.mu.Unlock()
		return
	}
	batch := b.waiting[:n:n]
	b.waiting = slices.Clone(b.waiting[n:])
	b.mu.Unlock()

	next := sync.OnceFunc(func() { go b.call() })
	defer time.AfterFunc(batchSlotTimeout, next).Stop()
	defer next()
	if n == 1 {
		batch[0].result <- b.single(batch[0])
		return
	}
	b.several(batch)
}

// single reads one product. It has readTimeout of its own: results of shared
// calls need no timer for each read.
func (b *readBatcher) single(r *readRequest) readResult {
	var result readResult
	err := r.share.do(r.ctx, func() error {
		ctx, cancel := context.WithTimeout(r.ctx, readTimeout)
		defer cancel()
		reply, err := b.reader.GetProduct(ctx, r.request)
		if err != nil {
			return err
		}
		result.readAt = reply.GetPosition()
		result.product, err = wire.ProductFromProto(reply.GetProduct())
		return err
	})
	if err != nil {
		return readResult{err: err}
	}
	return result
}

// several reads several products with one call.
func (b *readBatcher) several(batch []*readRequest) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	requests := make([]*catalogv1.GetProductRequest, len(batch))
	for i, r := range batch {
		requests[i] = r.request
		// The call belongs to the first sampled trace of the batch.
		if span := trace.SpanContextFromContext(r.ctx); span.IsSampled() && !trace.SpanContextFromContext(ctx).IsValid() {
			ctx = trace.ContextWithSpanContext(ctx, span)
		}
	}
	reply, err := b.reader.GetProducts(ctx, &catalogv1.GetProductsRequest{Products: requests})
	results := reply.GetResults()
	for i, r := range batch {
		if err != nil || i >= len(results) || !results[i].GetKnown() {
			r.result <- readResult{single: true}
			continue
		}
		r.result <- readResult{encoded: results[i].GetProduct(), readAt: results[i].GetPosition()}
	}
}
