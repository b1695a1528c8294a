package gateway

import (
	"context"
	"fmt"
	"sync"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/changefeed"
)

// answers brings what became of commands to those who wait for it. It follows
// the events of all shards from where they end when it begins, and implements
// eventlog.Consumer.
type answers struct {
	log     Log
	near    *near
	feed    *changefeed.Feed
	backlog *backlog

	mu      sync.Mutex
	waiting map[catalog.ID][]chan catalog.Event
	follows map[int32]bool
	shards  int           // 0 until the log has been asked
	all     chan struct{} // closed while the events of all shards are followed
}

func newAnswers(log Log, near *near, feed *changefeed.Feed, backlog *backlog) *answers {
	return &answers{
		log: log, near: near, feed: feed, backlog: backlog,
		waiting: map[catalog.ID][]chan catalog.Event{}, follows: map[int32]bool{}, all: make(chan struct{}),
	}
}

// expect answers a channel that gets the event of the command when it is
// published from now on. Call forget when it is of no use any more.
func (a *answers) expect(command catalog.ID) (answer <-chan catalog.Event, forget func()) {
	ch := make(chan catalog.Event, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[command] = append(a.waiting[command], ch)
	return ch, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		left := a.waiting[command]
		for i := range left {
			if left[i] == ch {
				left = append(left[:i:i], left[i+1:]...)
				break
			}
		}
		if a.waiting[command] = left; len(left) == 0 {
			delete(a.waiting, command)
		}
	}
}

// lastWait is how long a command is waited for when the gateway stops.
const lastWait = 4 * time.Second

// settled waits for the event of a command, but not longer than it may, and says
// whether it came. Who does not wait is not told, even when it is there already:
// respond-async has one answer, not one that depends on which came first.
func (g *Gateway) settled(ctx context.Context, answer <-chan catalog.Event, wait time.Duration) (catalog.Event, bool) {
	if wait == 0 {
		return catalog.Event{}, false
	}
	until := time.Now().Add(wait)
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	stopping := g.stopping.Done()
	for {
		select {
		case e := <-answer:
			return e, true
		case <-stopping:
			stopping = nil
			timeout.Reset(min(time.Until(until), lastWait))
		case <-timeout.C:
			return catalog.Event{}, false
		case <-ctx.Done():
			return catalog.Event{}, false
		}
	}
}

// errUnfollowed says that an answer could be missed.
var errUnfollowed = fmt.Errorf("the events are not followed yet: %w", catalog.ErrUnavailable)

// ready is an error until the events of all shards are followed.
func (a *answers) ready() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.complete() {
		return errUnfollowed
	}
	return nil
}

// await waits until the events of all shards are followed, which takes a moment
// when a gateway starts.
func (a *answers) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	a.mu.Lock()
	all := a.all
	a.mu.Unlock()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return errUnfollowed
	}
}

func (a *answers) complete() bool { return a.shards > 0 && len(a.follows) == a.shards }

// Begin follows the shard from its end.
func (a *answers) Begin(ctx context.Context, shard int32) (int64, error) {
	_, ends, err := a.log.EventOffsets(ctx)
	if err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.complete()
	a.shards = len(ends)
	a.follows[shard] = true
	if !was && a.complete() {
		close(a.all)
	}
	a.near.begin(shard, len(ends))
	a.feed.Begin(shard, len(ends))
	a.backlog.begin(len(ends))
	return ends[shard], nil
}

// Handle gives events to those who wait for them, when what was near has made
// way: who is answered reads what he wrote.
func (a *answers) Handle(_ context.Context, r eventlog.Records[catalog.Event]) error {
	a.near.follow(r.Shard, r.Items)
	a.feed.Publish(r.Shard, r.Items)
	a.backlog.settled(r.Items)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range r.Items {
		for _, ch := range a.waiting[e.Command] {
			select {
			case ch <- e:
			default: // it has it already: events may come twice
			}
		}
	}
	return nil
}

// End is called when the shard is followed no more.
func (a *answers) End(shard int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.complete() {
		a.all = make(chan struct{})
	}
	delete(a.follows, shard)
	a.near.end(shard)
	a.feed.End(shard)
}
