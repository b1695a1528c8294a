package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"
	"go.opentelemetry.io/otel/trace"

	"catalog"
	"catalog/api"
	"catalog/internal/changefeed"
	"catalog/internal/telemetry"
	"catalog/internal/wire"
)

// WatchChanges handles GET /api/v1/changes. It sends server-sent events until the
// client disconnects or the gateway stops.
func (g *Gateway) WatchChanges(c *echo.Context, params api.WatchChangesParams) error {
	ctx := c.Request().Context()
	trace.SpanFromContext(ctx).SetAttributes(telemetry.Endless.Bool(true))
	if err := g.events.waitReady(ctx); err != nil {
		return err
	}
	var from changefeed.Cursor // nil for changes from now on
	if params.LastEventID != "" {
		var err error
		if from, err = changefeed.ParseCursor(params.LastEventID, g.feed.Shards()); err != nil {
			return catalog.Invalid("Last-Event-ID", err.Error())
		}
	}
	subscribeCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sub, err := g.feed.Subscribe(subscribeCtx, from)
	if errors.Is(err, changefeed.ErrTooManySubscribers) {
		g.metrics.shedSubscribers.Inc()
		p := problem(catalog.CodeOverloaded, "the maximum number of clients follows changes already")
		p.retryAfter = subscribersRetryAfter
		return p
	}
	if err != nil {
		return err
	}
	defer sub.Close()

	header := c.Response().Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // proxies must not buffer the stream
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	s := stream{
		to: c.Response(), control: http.NewResponseController(c.Response()),
		filter: changefeed.NewFilter(catalog.ID(params.Product), params.Category),
	}
	// The response has begun, so no problem can be sent. The client resumes after
	// its last id.
	if err := s.run(ctx, sub); !errors.Is(err, changefeed.ErrClosed) && ctx.Err() == nil {
		g.logger.WarnContext(ctx, "change stream ended early", "err", err)
	}
	return nil
}

// stream is the response to one client.
type stream struct {
	to      io.Writer
	control *http.ResponseController
	filter  changefeed.Filter
	buffer  bytes.Buffer // events to be sent next
}

// run sends the changes of the subscription until it ends, and returns the reason.
func (s *stream) run(ctx context.Context, sub *changefeed.Subscriber) error {
	// Clients keep an id without data, too, and so can resume here before the first
	// change that matches their filter.
	fmt.Fprintf(&s.buffer, "retry: 1000\nid: %s\n\n", sub.Cursor())
	for {
		if err := s.send(); err != nil {
			return err
		}
		sent := sub.Cursor()
		nextCtx, cancel := context.WithTimeout(ctx, heartbeatInterval)
		items, err := sub.Next(nextCtx)
		idle := nextCtx.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			for _, i := range items {
				if sent.Advance(i.Position); s.filter.Match(i) {
					fmt.Fprintf(&s.buffer, "id: %s\nevent: %s\ndata: %s\n\n", sent, i.Kind, i.Data)
				}
			}
		case idle:
			fmt.Fprintf(&s.buffer, ": heartbeat\nid: %s\n\n", sent)
		default:
			return err
		}
	}
}

// send sends the buffered events, if there are any.
func (s *stream) send() error {
	if s.buffer.Len() == 0 {
		return nil
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(streamWriteTimeout)); err != nil {
		return err
	}
	if _, err := s.buffer.WriteTo(s.to); err != nil {
		return err
	}
	return s.control.Flush()
}

// changeData returns the data of a server-sent event, in one line.
func changeData(e catalog.Event, policy catalog.PriorPolicy) []byte {
	m := api.ProductChange{
		ProductId: uuid.UUID(e.Product.ID), Version: e.Product.Version, Position: e.Position.String(), At: e.SettledAt,
	}
	if e.Product.Exists() {
		m.Product = wire.ProductToJSON(e.Product, policy)
	}
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	_ = j.Encode(m) // an event always encodes
	return bytes.TrimSpace(b.Bytes())
}
