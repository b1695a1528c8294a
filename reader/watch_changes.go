package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/changefeed"
	"catalog/internal/wire"
)

// encodeEvent encodes an event for clients that watch changes, as it is in the
// log.
func encodeEvent(e catalog.Event) []byte {
	b, _ := wire.EncodeEvent(e) // an event that was decoded can be encoded
	return b
}

// watcher is one WatchChanges call.
type watcher struct {
	filter changefeed.Filter
	send   func(*catalogv1.WatchChangesResponse) error
}

// watch sends the watcher the changes after the id, or future changes if the id is
// empty, until ctx ends.
func (r *Reader) watch(ctx context.Context, after string, w watcher) error {
	subscriber, err := r.subscribe(ctx, after)
	if err != nil {
		return watchError(err)
	}
	defer subscriber.Close()

	// A send that the client does not receive blocks until the gRPC call ends.
	// Therefore watch returns without waiting for it.
	timedOut, done := make(chan struct{}, 1), make(chan error, 1)
	timeout := time.AfterFunc(watchSendTimeout, func() { timedOut <- struct{}{} })
	defer timeout.Stop()
	send := w.send
	w.send = func(m *catalogv1.WatchChangesResponse) error {
		timeout.Reset(watchSendTimeout)
		defer timeout.Stop()
		return send(m)
	}
	go func() { done <- w.run(ctx, subscriber) }()
	select {
	case err := <-done:
		return watchError(err)
	case <-timedOut:
		return status.Errorf(codes.ResourceExhausted, "the client did not receive a message for %v; read faster and resume after the last id", watchSendTimeout)
	}
}

// subscribe subscribes to the changes after the id, or to future changes if the id
// is empty.
func (r *Reader) subscribe(ctx context.Context, after string) (*changefeed.Subscriber, error) {
	var from changefeed.Cursor // nil for future changes
	if after != "" {
		shards := r.changes.Shards()
		if shards == 0 {
			return nil, fmt.Errorf("the reader does not follow the events yet: %w", catalog.ErrUnavailable)
		}
		var err error
		if from, err = changefeed.ParseCursor(after, shards); err != nil {
			return nil, catalog.Invalid("after", err.Error())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, positionTimeout)
	defer cancel()
	return r.changes.Subscribe(ctx, from)
}

// watchError returns the error with which a WatchChanges call ends.
func watchError(err error) error {
	if errors.Is(err, changefeed.ErrClosed) {
		return fmt.Errorf("the reader is shutting down: %w", catalog.ErrUnavailable)
	}
	return err
}

// run sends the changes of the subscriber that pass the filter, until an error.
func (w watcher) run(ctx context.Context, subscriber *changefeed.Subscriber) error {
	for at := subscriber.Cursor(); ; {
		// A heartbeat lets the client resume here although no change has passed the
		// filter.
		if err := w.send(&catalogv1.WatchChangesResponse{Id: at.String()}); err != nil {
			return err
		}
		if err := w.sendUntilHeartbeat(ctx, subscriber, at); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// sendUntilHeartbeat sends changes and advances the cursor, until the next
// heartbeat is due or ctx ends.
func (w watcher) sendUntilHeartbeat(ctx context.Context, subscriber *changefeed.Subscriber, at changefeed.Cursor) error {
	ctx, cancel := context.WithTimeout(ctx, watchHeartbeat)
	defer cancel()
	for ctx.Err() == nil {
		items, err := subscriber.Next(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		for _, i := range items {
			if at.Advance(i.Position); !w.filter.Match(i) {
				continue
			}
			m := &catalogv1.WatchChangesResponse{Id: at.String(), Event: &catalogv1.Event{}}
			if err := errors.Join(proto.Unmarshal(i.Data, m.Event), w.send(m)); err != nil {
				return err
			}
		}
	}
	return nil
}
