package reader

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"catalog"
	"catalog/internal/breaker"
	"catalog/reader/projection"
)

// viewClient reads the view for queries, through a circuit breaker.
type viewClient struct {
	view      projection.View
	projector *projection.Projector
	breaker   *breaker.Breaker
	polls     singleflight.Group // all polls have the same key
}

func newViewClient(view projection.View, projector *projection.Projector, reg prometheus.Registerer) *viewClient {
	return &viewClient{view: view, projector: projector, breaker: breaker.New("view", reg)}
}

// product returns a product of the view, or ErrNotFound.
func (v *viewClient) product(ctx context.Context, id catalog.ID) (p catalog.Product, err error) {
	err = v.breaker.Do(ctx, v.probe, func(ctx context.Context) error {
		p, err = v.view.Product(ctx, id)
		return err
	})
	return p, err
}

// poll refreshes the watermarks of shards that other readers may project. Concurrent
// polls share one read of the view.
func (v *viewClient) poll(ctx context.Context) error {
	_, err, _ := v.polls.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), positionTimeout)
		defer cancel()
		return nil, v.breaker.Do(ctx, v.probe, v.projector.Refresh)
	})
	return err
}

// probe reads the checkpoints to check whether the view responds.
func (v *viewClient) probe(ctx context.Context) error {
	_, err := v.view.Checkpoints(ctx)
	return err
}
