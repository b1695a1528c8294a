package kafka

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
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
