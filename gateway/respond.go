package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v5"
	"google.golang.org/protobuf/proto"

	"catalog"
)

// respond calls a service with a slot of the share, within the timeout, and sends what
// render makes of its reply. The slot is free again as soon as the response is encoded.
// A large response takes its bytes from the responses share until the client has it.
func (g *Gateway) respond(c *echo.Context, s *share, timeout time.Duration, call func(context.Context) (proto.Message, error), render func(proto.Message) (any, error)) error {
	ctx := c.Request().Context()
	var body []byte
	var held int64
	defer func() { g.responses.Release(held) }()
	err := s.do(ctx, func() error {
		callCtx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		reply, err := call(callCtx)
		if err != nil {
			return err
		}
		if size := int64(proto.Size(reply)); size > smallResponse {
			if err := g.holdResponse(ctx, size*responseCopies); err != nil {
				return err
			}
			held = size * responseCopies
		}
		v, err := render(reply)
		body = encodeJSON(v)
		if copies := held - int64(len(body)); copies > 0 { // from here on only the body is held
			g.responses.Release(copies)
			held -= copies
		}
		return err
	})
	if err != nil {
		return err
	}
	writeJSONBody(c, http.StatusOK, "application/json", body)
	return nil
}

// holdResponse takes bytes of the responses share, for which it waits a moment.
func (g *Gateway) holdResponse(ctx context.Context, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, bytesTimeout)
	defer cancel()
	if err := g.responses.Acquire(ctx, size); err != nil {
		g.metrics.shedMemory.Inc()
		return problem(catalog.CodeOverloaded, "too many large responses are in progress; ask for fewer items, or retry")
	}
	return nil
}
