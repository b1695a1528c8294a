package gateway

import (
	"context"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/rpc"
	"catalog/internal/wire"
)

// GetProduct handles GET /api/v1/products/{id}.
func (g *Gateway) GetProduct(c *echo.Context, id api.ID, params api.GetProductParams) error {
	if params.Version != 0 || params.At != "" {
		return g.getOldProduct(c, catalog.ID(id), params)
	}
	at, err := g.positionFor(catalog.ID(id), params.CatalogPosition)
	if err != nil {
		return err
	}
	p, err := g.product(c.Request().Context(), catalog.ID(id), at)
	if err != nil {
		return err
	}
	w, header := c.Response(), c.Response().Header()
	header["Etag"] = p.etag
	if matchesETag(params.IfNoneMatch, p.version) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header["Content-Type"], header["Content-Length"] = contentJSON, p.length
	w.WriteHeader(http.StatusOK)
	writeBody(c, p.body)
	return nil
}

// contentJSON is a header value in the form of http.Header, so that a read from
// the near cache does not allocate one.
var contentJSON = []string{"application/json"}

// parsePositions parses the header Catalog-Position of a read.
func (g *Gateway) parsePositions(text string) ([]catalog.Position, error) {
	all, err := catalog.ParsePositions(text)
	if err != nil {
		return nil, catalog.Invalid("Catalog-Position", err.Error())
	}
	for _, p := range all {
		if n := g.cache.shardCount(); n > 0 && int(p.Shard) >= n {
			return nil, catalog.Invalid("Catalog-Position", fmt.Sprintf("names shard %d; the shards are 0 to %d", p.Shard, n-1))
		}
	}
	return all, nil
}

// positionFor returns the position that a read of the product waits for: of
// several positions, the one of the product's shard.
func (g *Gateway) positionFor(product catalog.ID, positions string) (catalog.Position, error) {
	if positions == "" {
		return catalog.Position{}, nil
	}
	all, err := g.parsePositions(positions)
	switch {
	case err != nil:
		return catalog.Position{}, err
	case len(all) == 1:
		return all[0], nil
	case g.cache.shardCount() == 0:
		return catalog.Position{}, fmt.Errorf("number of shards: %w", errNotFollowing)
	}
	of := catalog.Position{Shard: g.cache.shard(product)}
	for _, p := range all {
		if p.Shard == of.Shard {
			of.Seq = max(of.Seq, p.Seq)
		}
	}
	return of, nil
}

// shareFor returns the share of a read at the positions: usual, unless the reader may
// have to wait for one of them. A client can name positions that no event will reach.
func (g *Gateway) shareFor(usual *share, at ...catalog.Position) *share {
	for _, p := range at {
		if p.Seq > 0 && !g.cache.followed(p) {
			return g.shares.positions
		}
	}
	return usual
}

// product returns the product as it was at the position or later, from the near
// cache or from the reader.
func (g *Gateway) product(ctx context.Context, id catalog.ID, at catalog.Position) (*cachedProduct, error) {
	p, refresh := g.cache.lookup(id, at, g.now())
	if p == nil {
		return g.readProduct(ctx, id, at)
	}
	if refresh {
		go func() { _, _ = g.readProduct(g.stopping, id, catalog.Position{}) }() // after a failure the entry expires
	}
	return p, nil
}

// readProduct reads the product from the reader and fills the near cache.
func (g *Gateway) readProduct(ctx context.Context, id catalog.ID, at catalog.Position) (*cachedProduct, error) {
	token := g.cache.startFill(id, g.now())
	if at.Seq == 0 {
		at.Shard = g.cache.shard(id) // the reader returns its position in this shard
	}
	share := g.shareFor(g.shares.reads, at)
	product, readAt, err := g.batcher.product(ctx, &catalogv1.GetProductRequest{Id: id[:], Position: wire.PositionToProto(at)}, share)
	if err != nil {
		if rpc.CodeOf(err) == catalog.CodeNotFound {
			g.cache.fill(token, nil, 0)
		}
		return nil, err
	}
	p := newCachedProduct(product, g.prior)
	var seq int64 // stays 0 when the reader's position is of another shard
	if readAt.GetShard() == g.cache.shard(id) {
		seq = readAt.GetSeq()
	}
	g.cache.fill(token, p, seq)
	return p, nil
}
