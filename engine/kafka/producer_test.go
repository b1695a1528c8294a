package kafka

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"catalog"
	"catalog/eventlog"
)

func TestProducer(t *testing.T) { runBrokerTests(t, fakeBroker(t), producerTests) }

var producerTests = []brokerTest{
	{"commands arrive unchanged and in order, in the shard of their product", commandsArrive},
	{"events arrive in order at every consumer of all shards", eventsArrive},
}

func commandsArrive(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	var want []catalog.Command
	for i := range 100 {
		want = append(want, command(i, i/3))
	}
	send(t, l, want[:50]...)
	c := newRecorder[catalog.Command]()
	start(t, c, l.ConsumeCommands)
	c.wait(t, "50 commands", func() bool { return c.total() == 50 })
	send(t, l, want[50:]...)
	c.wait(t, "100 commands", func() bool { return c.total() == 100 })
	for shard, got := range c.items {
		ofShard := slices.DeleteFunc(slices.Clone(want), func(c catalog.Command) bool { return catalog.Shard(c.Product, shards) != shard })
		if !reflect.DeepEqual(got, ofShard) {
			t.Errorf("shard %d has %d commands; want the %d that were sent to it, in order", shard, len(got), len(ofShard))
		}
	}
}

func eventsArrive(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	consume := func(name string) *recorder[catalog.Event] {
		c := newRecorder[catalog.Event]()
		start(t, c, func(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
			return l.ConsumeAllShards(ctx, name, c)
		})
		return c
	}
	a, b := consume("a"), consume("b")
	done := make(chan error, 100)
	for i := range int64(100) {
		l.PublishEvents(t.Context(), []catalog.Event{event(0, 2*i+1), event(0, 2*i+2)}, func(err error) { done <- err })
		l.PublishEvents(t.Context(), []catalog.Event{event(3, i+1)}, func(err error) { done <- err })
		if i%50 == 49 {
			for range 100 {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, c := range []*recorder[catalog.Event]{a, b} {
		c.wait(t, "300 events", func() bool { return c.total() == 300 })
		for shard, n := range map[int32]int{0: 200, 3: 100} {
			if len(c.items[shard]) != n {
				t.Fatalf("shard %d has %d events, want %d", shard, len(c.items[shard]), n)
			}
			for i, e := range c.items[shard] {
				if !reflect.DeepEqual(e, event(shard, int64(i)+1)) {
					t.Fatalf("event %d of shard %d is %v", i, shard, e)
				}
			}
		}
	}
}

func TestSendCommands(t *testing.T) {
	t.Run("the outcome is unknown when ctx ends before the broker acknowledges", func(t *testing.T) {
		c := newCluster(t)
		l := openLog(t, testConfig(t, c.ListenAddrs()[0]))
		requested, respond := make(chan struct{}), make(chan struct{})
		c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			c.SleepControl(func() { close(requested); <-respond })
			return nil, nil, false
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { <-requested; cancel() }()
		err := l.SendCommands(ctx, command(1, 1))
		close(respond)
		if !errors.Is(err, catalog.ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
			t.Errorf("SendCommands = %v; want ErrOutcomeUnknown", err)
		}
		// The command is sent nevertheless.
		got := newRecorder[catalog.Command]()
		start(t, got, l.ConsumeCommands)
		got.wait(t, "the command", func() bool { return got.total() == 1 })
	})
}

func TestPublishEvents(t *testing.T) {
	t.Run("a full buffer is an error when ctx ends", func(t *testing.T) {
		l := openLog(t, testConfig(t, fakeBroker(t)))
		l.publishing().Hold(publishShare)
		defer l.publishing().Release(publishShare)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		done := make(chan error, 1)
		l.PublishEvents(ctx, []catalog.Event{event(0, 1)}, func(err error) { done <- err })
		if err := <-done; !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("PublishEvents = %v; want ErrUnavailable", err)
		}
	})
}
