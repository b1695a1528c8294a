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

	"catalog"
	"catalog/api"
	"catalog/internal/changefeed"
	"catalog/internal/wire"
)

const (
	heartbeat  = 15 * time.Second // a quiet stream says that it is alive
	streamWait = 30 * time.Second // until a client has taken what was sent, or is cut off
)

// WatchChanges answers GET /api/v1/changes: server-sent events until the client
// or the gateway goes.
func (g *Gateway) WatchChanges(c *echo.Context, params api.WatchChangesParams) error {
	ctx := c.Request().Context()
	if err := g.answers.await(ctx); err != nil {
		return err
	}
	var from changefeed.Cursor // nil for what comes from now on
	if params.LastEventID != "" {
		var err error
		if from, err = changefeed.ParseCursor(params.LastEventID, g.feed.Shards()); err != nil {
			return catalog.Invalid("Last-Event-ID", err.Error())
		}
	}
	joining, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	consumer, err := g.feed.Subscribe(joining, from)
	if errors.Is(err, changefeed.ErrTooManySubscribers) {
		p := problem(http.StatusServiceUnavailable, api.ProblemCodeUnavailable, "as many clients as may be follow changes already")
		p.retryAfter = "10"
		return p
	}
	if err != nil {
		return err
	}
	defer consumer.Close()

	header := c.Response().Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // a proxy between must not gather what comes
	c.Response().WriteHeader(http.StatusOK)
	s := stream{
		to: c.Response(), control: http.NewResponseController(c.Response()),
		filter: changefeed.Filter{Product: catalog.ID(params.Product), Category: params.Category},
	}
	// The answer has begun: whatever ends it, the client goes on from its last id.
	if err := s.run(ctx, consumer); !errors.Is(err, changefeed.ErrClosed) && ctx.Err() == nil {
		g.logger.WarnContext(ctx, "a client that follows changes was cut off", "err", err)
	}
	return nil
}

// stream is the answer to one client.
type stream struct {
	to      io.Writer
	control *http.ResponseController
	filter  changefeed.Filter
	text    bytes.Buffer // of what is sent next
}

// run sends what the consumer gets, until that ends, and says why.
func (s *stream) run(ctx context.Context, consumer *changefeed.Subscriber) error {
	// An id without data is kept by the client, too: it can go on from here
	// before there was any change that it wants.
	fmt.Fprintf(&s.text, "retry: 1000\nid: %s\n\n", consumer.Cursor())
	for {
		if err := s.send(); err != nil {
			return err
		}
		sent := consumer.Cursor()
		beat, cancel := context.WithTimeout(ctx, heartbeat)
		items, err := consumer.Next(beat)
		quiet := beat.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			for _, i := range items {
				if sent.Advance(i.Position); s.filter.Match(i) {
					fmt.Fprintf(&s.text, "id: %s\nevent: %s\ndata: %s\n\n", sent, i.Kind, i.Data)
				}
			}
		case quiet:
			fmt.Fprintf(&s.text, ": still here\nid: %s\n\n", sent)
		default:
			return err
		}
	}
}

// send sends the text, if there is any.
func (s *stream) send() error {
	if s.text.Len() == 0 {
		return nil
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(streamWait)); err != nil {
		return err
	}
	if _, err := s.text.WriteTo(s.to); err != nil {
		return err
	}
	return s.control.Flush()
}

// changeData is the data of an event, in one line.
func changeData(e catalog.Event) []byte {
	m := api.ProductChange{
		ProductId: uuid.UUID(e.Product.ID), Version: e.Product.Version, Position: e.Position.String(), At: e.SettledAt,
	}
	if e.Product.Exists() {
		m.Product = wire.ProductToJSON(e.Product)
	}
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	_ = j.Encode(m) // what is made of an event cannot fail to be JSON
	return bytes.TrimSpace(b.Bytes())
}
