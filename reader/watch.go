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
	"catalog/eventlog"
	"catalog/internal/changefeed"
	"catalog/internal/wire"
)

const (
	maxWatchers = 1_000            // that follow changes at once
	quiet       = 15 * time.Second // after which a watcher hears how far all is
	watchWait   = 30 * time.Second // until a watcher has taken what was sent, or is cut off
)

// watched is the consumer of the index, of which those who follow changes hear
// what it is given.
type watched struct {
	*follower
	changes *changefeed.Feed
}

// Begin begins the shard.
func (w watched) Begin(ctx context.Context, shard int32) (int64, error) {
	offset, err := w.follower.Begin(ctx, shard)
	if err != nil {
		return 0, err
	}
	_, ends, err := w.log.EventOffsets(ctx)
	if err != nil {
		return 0, err
	}
	w.changes.Begin(shard, len(ends))
	return offset, nil
}

// Handle handles events of a shard.
func (w watched) Handle(ctx context.Context, r eventlog.Records[catalog.Event]) error {
	w.changes.Publish(r.Shard, r.Items)
	return w.follower.Handle(ctx, r)
}

// End ends the shard.
func (w watched) End(shard int32) {
	w.changes.End(shard)
	w.follower.End(shard)
}

// eventData is the data of an event for those who follow changes: as it is in
// the log.
func eventData(e catalog.Event) []byte {
	b, _ := wire.EncodeEvent(e) // what was decoded can be encoded
	return b
}

// EndChanges sends away all who follow changes.
func (r *Reader) EndChanges() { r.changes.Close() }

// watcher is one who follows changes.
type watcher struct {
	filter changefeed.Filter
	send   func(*catalogv1.WatchChangesResponse) error
}

// watch sends the watcher what comes behind the id, until ctx ends.
func (r *Reader) watch(ctx context.Context, after string, w watcher) error {
	var from changefeed.Cursor // nil for what comes from now on
	if after != "" {
		shards := r.changes.Shards()
		if shards == 0 {
			return fmt.Errorf("the events are not followed yet: %w", catalog.ErrUnavailable)
		}
		var err error
		if from, err = changefeed.ParseCursor(after, shards); err != nil {
			return catalog.Invalid("after", err.Error())
		}
	}
	joining, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	consumer, err := r.changes.Subscribe(joining, from)
	if err != nil {
		return ended(err)
	}
	defer consumer.Close()

	// A send that is not taken ends when this function does.
	slow, gone := make(chan struct{}, 1), make(chan error, 1)
	patience := time.AfterFunc(watchWait, func() { slow <- struct{}{} })
	defer patience.Stop()
	send := w.send
	w.send = func(m *catalogv1.WatchChangesResponse) error {
		patience.Reset(watchWait)
		defer patience.Stop()
		return send(m)
	}
	go func() { gone <- w.run(ctx, consumer) }()
	select {
	case err := <-gone:
		return ended(err)
	case <-slow:
		return status.Error(codes.ResourceExhausted, "what was sent was not read in time; go on behind the last id")
	}
}

// ended is what a watcher is told at the end.
func ended(err error) error {
	if errors.Is(err, changefeed.ErrClosed) {
		return fmt.Errorf("the reader stops: %w", catalog.ErrUnavailable)
	}
	return err
}

// run sends what comes until that ends, and says why.
func (w watcher) run(ctx context.Context, consumer *changefeed.Subscriber) error {
	for at := consumer.Cursor(); ; {
		// How far all is: a watcher can go on from here before there was anything
		// that he wants.
		if err := w.send(&catalogv1.WatchChangesResponse{Id: at.String()}); err != nil {
			return err
		}
		beat, cancel := context.WithTimeout(ctx, quiet)
		for beat.Err() == nil {
			items, err := consumer.Next(beat)
			if err != nil && beat.Err() == nil {
				cancel()
				return err
			}
			for _, i := range items {
				if at.Advance(i.Position); !w.filter.Match(i) {
					continue
				}
				m := &catalogv1.WatchChangesResponse{Id: at.String(), Event: &catalogv1.Event{}}
				if err := errors.Join(proto.Unmarshal(i.Data, m.Event), w.send(m)); err != nil {
					cancel()
					return err
				}
			}
		}
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
