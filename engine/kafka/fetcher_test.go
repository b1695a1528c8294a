package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"catalog"
	"catalog/eventlog"
)

// fetches reports whether the request fetches the partition.
func fetches(r kmsg.Request, partition int32) bool {
	for _, topic := range r.(*kmsg.FetchRequest).Topics {
		for _, p := range topic.Partitions {
			if p.Partition == partition {
				return true
			}
		}
	}
	return false
}

func TestFetcher(t *testing.T) {
	t.Run("records that are deleted before they are fetched stop the shard", func(t *testing.T) {
		cluster := newCluster(t)
		l := openLog(t, testConfig(t, cluster.ListenAddrs()[0]))
		for seq := range int64(10) {
			publish(t, l, event(2, seq+1))
		}
		fetching, proceed := make(chan struct{}), make(chan struct{})
		hold := sync.OnceFunc(func() { close(fetching); <-proceed })
		cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			if fetches(r, 2) {
				cluster.SleepControl(hold)
			}
			return nil, nil, false
		})
		c := newRecorder[catalog.Event]()
		start(t, c, func(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
			return l.ConsumeAllShards(ctx, "test", c)
		})
		<-fetching
		var until kadm.Offsets
		until.AddOffset(l.topic("events"), 2, 10, -1)
		deleted, err := l.admin.DeleteRecords(t.Context(), until)
		close(proceed)
		if err := errors.Join(err, deleted.Error()); err != nil {
			t.Fatal(err)
		}
		// A client that continues at another offset would get one of these.
		for seq, ended := int64(11), false; !ended && seq < 5000; seq++ {
			publish(t, l, event(2, seq))
			c.mu.Lock()
			ended = len(l.logs.lines("level=ERROR")) > 0 || c.count("handle 2") > 0
			c.mu.Unlock()
		}
		if handled := c.handled(); len(handled) > 0 {
			t.Errorf("records after the deleted ones were handled: %v", handled)
		}
		if lines := l.logs.lines("level=ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "catalog repair") {
			t.Errorf("errors logged: %v; want one that names catalog repair", lines)
		}
	})
}

func TestFetcher_session(t *testing.T) {
	t.Run("a fetch names only the partitions that have moved", func(t *testing.T) {
		cluster := newCluster(t)
		l := openLog(t, testConfig(t, cluster.ListenAddrs()[0]))
		var named atomic.Int64 // partitions in the last fetch
		named.Store(-1)
		cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			n := 0
			for _, topic := range r.(*kmsg.FetchRequest).Topics {
				n += len(topic.Partitions)
			}
			named.Store(int64(n))
			return nil, nil, false
		})
		c := newRecorder[catalog.Event]()
		start(t, c, func(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
			return l.ConsumeAllShards(ctx, "test", c)
		})
		c.wait(t, "Begin of all shards", func() bool { return c.activeShards() == shards })
		wait(t, "a fetch without partitions", func() bool { return named.Load() == 0 })
		publish(t, l, event(2, 1))
		wait(t, "a fetch that names the partition of the event", func() bool { return named.Load() == 1 })
	})
	// The client would otherwise change the session that it ends, at the same time.
	t.Run("no fetch starts while the client ends its session", func(t *testing.T) {
		for range 10 { // a single fetch would seldom start in time
			if fetchesWhileClosing(t) {
				t.Fatal("the partition that was added last was fetched while the session ended")
			}
		}
	})
}

// startFetcher runs a fetcher of the events of a new cluster until stop is called.
func startFetcher(t *testing.T) (cluster *kfake.Cluster, l testLog, f *fetcher, stop func()) {
	cluster = newCluster(t)
	l = openLog(t, testConfig(t, cluster.ListenAddrs()[0]))
	f, err := newFetcher(l.Log, "test", l.topic("events"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.run(ctx) })
	return cluster, l, f, func() { cancel(); running.Wait(); f.close() }
}

// A shard whose connection broke compares its last record again, for which it stops its
// partition and starts it again.
func TestFetcher_reconnected(t *testing.T) {
	cluster, l, f, stop := startFetcher(t)
	defer stop()
	var failing atomic.Bool
	var failed atomic.Int64
	cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if !failing.Load() {
			return nil, nil, false
		}
		failed.Add(1)
		return nil, errors.New("the broker ends the connection"), true
	})
	kept := f.startAt(2, kgo.NoResetOffset().At(0))
	reconnected := f.reconnected()
	for seq := range int64(10) { // once is not enough: the client need not be in a fetch
		other := f.startAt(1, kgo.NoResetOffset().At(0))
		publish(t, l, event(2, seq+1))
		if _, err := kept.take(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		f.release(1, other)
	}
	if reconnected() {
		t.Error("a partition that stopped counts as a broken connection: all shards would start again")
	}
	failing.Store(true)
	wait(t, "a fetch after one whose connection broke", func() bool { return failed.Load() >= 3 })
	if !reconnected() {
		t.Error("a connection that broke does not count: no shard would notice a log that was cut")
	}
}

func TestConnectionHook(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, test := range []struct {
		name   string
		broker int32
		err    error
		broken bool
	}{
		{"the broker does not listen", 1, refused, true},
		{"the broker ended the connection", 1, fmt.Errorf("read: %w", io.EOF), true},
		{"a configured address does not listen", math.MinInt32, refused, false},
		{"the client closed the connection", 1, &net.OpError{Op: "read", Err: net.ErrClosed}, false},
		{"the client canceled the request", 1, context.Canceled, false},
		{"no error", 1, nil, false},
	} {
		f := &fetcher{}
		broken := f.reconnected()
		connectionHook{f}.OnBrokerConnect(kgo.BrokerMetadata{NodeID: test.broker}, 0, nil, test.err)
		if broken() != test.broken {
			t.Errorf("%s: a broken connection: %t; want %t", test.name, broken(), test.broken)
		}
	}
}

// fetchesWhileClosing closes a fetcher between the metadata request for a new partition and
// its response, and reports whether the client fetched that partition.
func fetchesWhileClosing(t *testing.T) bool {
	cluster, l, f, stop := startFetcher(t)
	publish(t, l, event(2, 1))
	buffer := f.startAt(2, kgo.NoResetOffset().At(0))
	if _, err := buffer.take(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	updating, ending := make(chan struct{}), make(chan struct{})
	var ended atomic.Bool // no request sleeps from then on: a cluster that closes meanwhile would hang
	hold := sync.OnceFunc(func() { close(updating); <-ending })
	release := sync.OnceFunc(func() { ended.Store(true); close(ending) })
	cluster.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if !ended.Load() {
			cluster.SleepControl(hold)
		}
		return nil, nil, false
	})
	var fetched atomic.Bool
	cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if fetches(r, 3) {
			fetched.Store(true)
		} else if r.(*kmsg.FetchRequest).SessionEpoch == -1 && !ended.Load() {
			// No signal shows that no fetch will start, so the end of the session takes a moment.
			cluster.SleepControl(func() { release(); time.Sleep(50 * time.Millisecond) })
		}
		return nil, nil, false
	})
	f.startAt(3, kgo.NoResetOffset().At(0))
	<-updating
	stop()
	release()                  // a client without a session ends none
	publish(t, l, event(2, 2)) // the broker has seen what the client had sent
	return fetched.Load()
}
