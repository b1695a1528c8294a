package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"catalog"
	"catalog/eventlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const shards = 4

// cluster starts a broker that lives as long as the test.
func cluster(t *testing.T) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// config names topics and groups that no other test has.
func config(t *testing.T, brokers string) Config {
	name := strings.NewReplacer("/", ".", "_", "-", ",", "", "'", "").Replace(t.Name())
	return Config{Brokers: brokers, TopicPrefix: fmt.Sprintf("%.150s-%d", name, time.Now().UnixNano()), Replicas: 1, SessionTimeout: 6 * time.Second}
}

// opened is a log whose topics are there. What it has to say to people is in
// said.
type opened struct {
	*Log
	said *said
}

func open(t *testing.T, cfg Config) opened {
	t.Helper()
	out := &said{}
	l, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(out, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	if err := l.CreateTopics(t.Context(), shards); err != nil {
		t.Fatal(err)
	}
	return opened{l, out}
}

// said keeps log lines.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// lines answers the lines that contain all words.
func (s *said) lines(words ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(strings.Split(s.b.String(), "\n"), func(line string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	})
}

// consumer records what it is called with. What begin and handle answer can be
// set; without them it begins at 0 and takes everything.
type consumer[T any] struct {
	begin  func(ctx context.Context, shard int32) (int64, error)
	handle func(ctx context.Context, r eventlog.Records[T]) error

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
	calls   []string      // "begin 1", "handle 1 0-3", "end 1"
	working map[int32]bool
	batches []int
	items   map[int32][]T
	next    map[int32]int64
	wrong   []string
}

func newConsumer[T any]() *consumer[T] {
	return &consumer[T]{changed: make(chan struct{}), working: map[int32]bool{}, items: map[int32][]T{}, next: map[int32]int64{}}
}

func (c *consumer[T]) note(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *consumer[T]) Begin(ctx context.Context, shard int32) (offset int64, err error) {
	if c.begin != nil {
		offset, err = c.begin(ctx, shard)
	}
	c.note(func() {
		c.calls = append(c.calls, fmt.Sprintf("begin %d", shard))
		if err != nil {
			return
		}
		if c.working[shard] {
			c.wrong = append(c.wrong, fmt.Sprintf("shard %d began twice", shard))
		}
		c.working[shard], c.next[shard] = true, offset
	})
	return offset, err
}

func (c *consumer[T]) Handle(ctx context.Context, r eventlog.Records[T]) (err error) {
	if c.handle != nil {
		err = c.handle(ctx, r)
	}
	c.note(func() {
		c.calls = append(c.calls, fmt.Sprintf("handle %d %d-%d", r.Shard, r.From, r.To))
		if !c.working[r.Shard] || r.From != c.next[r.Shard] || r.To <= r.From {
			c.wrong = append(c.wrong, fmt.Sprintf("Handle of shard %d [%d,%d), begun: %v, expected to go on at %d", r.Shard, r.From, r.To, c.working[r.Shard], c.next[r.Shard]))
		}
		if err != nil {
			return
		}
		c.next[r.Shard] = r.To
		c.batches = append(c.batches, len(r.Items))
		c.items[r.Shard] = append(c.items[r.Shard], r.Items...)
	})
	return err
}

func (c *consumer[T]) End(shard int32) {
	c.note(func() {
		c.calls = append(c.calls, fmt.Sprintf("end %d", shard))
		if !c.working[shard] {
			c.wrong = append(c.wrong, fmt.Sprintf("shard %d ended and was not begun", shard))
		}
		c.working[shard] = false
	})
}

// wait waits until the condition on c holds.
func (c *consumer[T]) wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		c.mu.Lock()
		ok, changed := holds(), c.changed
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			c.mu.Lock()
			defer c.mu.Unlock()
			t.Fatalf("never: %s; calls: %v", what, c.calls)
		}
	}
}

// total is how many items there are. The caller holds the lock, as in wait.
func (c *consumer[T]) total() (n int) {
	for _, items := range c.items {
		n += len(items)
	}
	return n
}

func (c *consumer[T]) begun() (n int) {
	for _, working := range c.working {
		if working {
			n++
		}
	}
	return n
}

// check fails the test when a promise to consumers was broken, or one was not
// ended.
func (c *consumer[T]) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.wrong {
		t.Error(w)
	}
	for shard, working := range c.working {
		if working {
			t.Errorf("shard %d was not ended", shard)
		}
	}
}

// run runs a consumption until the function it answers is called, or the test
// ends.
func run[T any](t *testing.T, c *consumer[T], consume func(context.Context, eventlog.Consumer[T]) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- consume(ctx, c) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(15 * time.Second):
			t.Error("did not stop")
		}
		c.check(t)
	})
	t.Cleanup(stop)
	return stop
}

// value is that of a counter or gauge.
func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var d dto.Metric
	if err := m.Write(&d); err != nil {
		t.Fatal(err)
	}
	return d.GetCounter().GetValue() + d.GetGauge().GetValue()
}

func id(i int) catalog.ID { return catalog.DerivedID("test", fmt.Sprint(i)) }

func command(i, product int) catalog.Command {
	return catalog.Command{
		ID: id(i), Product: id(product), Op: catalog.DeleteProduct{},
		Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", AcceptedAt: time.Date(2026, 11, 23, 12, 0, 0, 1000, time.UTC),
	}
}

func event(shard int32, seq int64) catalog.Event {
	return catalog.Event{
		Position: catalog.Position{Shard: shard, Seq: seq}, Outcome: catalog.Deleted,
		Product: catalog.Product{ID: id(int(seq)), Version: 2, Deleted: true},
		Command: id(int(seq)), AcceptedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), SettledAt: time.Date(2026, 11, 23, 12, 0, 1, 0, time.UTC),
	}
}

func publish(t *testing.T, l *Log, events ...catalog.Event) {
	t.Helper()
	done := make(chan error, 1)
	l.PublishEvents(t.Context(), events, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// testLog says what the log must do on every kind of broker.
func testLog(t *testing.T, brokers string) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, brokers string)
	}{
		{"a command comes out as it went in, in the shard of its product", commandsComeOut},
		{"a shard is read from the offset that Begin answers", beginsWhereToldTo},
		{"what comes while Handle is busy is handled at once", batchesGrow},
		{"nothing is lost or out of order when more comes than is handled", fullInbox},
		{"what Handle cannot do is tried again with the same records", triedAgain},
		{"a shard that is fenced begins again where Begin says", fencedBeginsAgain},
		{"a shard that cannot begin is tried again and stops when told to", cannotBegin},
		{"a Handle in hand may end when the shard is taken away", handleEnds},
		{"what cannot be decoded comes as dead letters and the rest goes on", deadLetters},
		{"dead letters are stored in order, and the last one tells its number", buried},
		{"an event that cannot be decoded stops its shard and no other", brokenEvent},
		{"an offset that the log does not have stops the shard with one error", outOfRange},
		{"shards are shared, and go to others when a member leaves", shared},
		{"the group knows what was handled", committed},
		{"events are stored in order and followed by all", followed},
		{"the last seq and the bounds of the events are those of the topic", lastSeq},
		{"topics are made once and their number of partitions is fixed", prepared},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, brokers)
		})
	}
}

func TestLog(t *testing.T) { testLog(t, cluster(t).ListenAddrs()[0]) }

func commandsComeOut(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	var want []catalog.Command
	for i := range 100 {
		want = append(want, command(i, i/3))
	}
	if err := l.SendCommands(t.Context(), want[:50]...); err != nil {
		t.Fatal(err)
	}
	c := newConsumer[catalog.Command]()
	run(t, c, l.ConsumeCommands)
	c.wait(t, "50 commands", func() bool { return c.total() == 50 })
	if err := l.SendCommands(t.Context(), want[50:]...); err != nil {
		t.Fatal(err)
	}
	c.wait(t, "100 commands", func() bool { return c.total() == 100 })
	for shard, got := range c.items {
		mine := slices.DeleteFunc(slices.Clone(want), func(c catalog.Command) bool { return catalog.Shard(c.Product, shards) != shard })
		if !slices.Equal(got, mine) {
			t.Errorf("shard %d: got %v, want %v", shard, got, mine)
		}
	}
}

func beginsWhereToldTo(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	for i := range int64(10) {
		publish(t, l.Log, event(1, i+1))
	}
	c := newConsumer[catalog.Event]()
	c.begin = func(_ context.Context, shard int32) (int64, error) {
		if shard == 1 {
			return 7, nil
		}
		return 0, nil
	}
	run(t, c, l.ConsumeEvents)
	c.wait(t, "3 events", func() bool { return c.total() == 3 })
	if got := c.items[1][0].Seq; got != 8 {
		t.Errorf("the first event has seq %d, want 8", got)
	}
}

func batchesGrow(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	c := newConsumer[catalog.Command]()
	busy, free := make(chan struct{}, 10), make(chan struct{})
	c.handle = func(context.Context, eventlog.Records[catalog.Command]) error {
		busy <- struct{}{}
		<-free
		return nil
	}
	run(t, c, l.ConsumeCommands)
	send := func(i int) {
		if err := l.SendCommands(t.Context(), command(i, 0)); err != nil {
			t.Error(err)
		}
	}
	send(0)
	<-busy
	for i := range 50 {
		send(i + 1)
	}
	close(free)
	c.wait(t, "51 commands", func() bool { return c.total() == 51 })
	if len(c.batches) > 10 {
		t.Errorf("51 commands, 50 of them sent while the first was handled, were handled in batches of %v", c.batches)
	}
}

func fullInbox(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	n := int64(3 * inboxRecords)
	var events []catalog.Event
	for i := range n {
		events = append(events, event(2, i+1))
	}
	publish(t, l.Log, events...)
	c := newConsumer[catalog.Event]()
	free := make(chan struct{})
	c.handle = func(context.Context, eventlog.Records[catalog.Event]) error { <-free; return nil }
	run(t, c, func(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
		return l.ConsumeAllShards(ctx, "test", c)
	})
	c.wait(t, "all shards begun", func() bool { return c.begun() == shards })
	publish(t, l.Log, event(3, 1)) // while shard 2 is full
	close(free)
	c.wait(t, "all events", func() bool { return c.total() == int(n)+1 })
	for i, e := range c.items[2] {
		if e.Seq != int64(i)+1 {
			t.Fatalf("event %d has seq %d", i, e.Seq)
		}
	}
	if longest := slices.Max(c.batches); longest > batchRecords {
		t.Errorf("a batch of %d, want at most %d", longest, batchRecords)
	}
}

func triedAgain(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	c := newConsumer[catalog.Command]()
	tries := 0
	c.handle = func(context.Context, eventlog.Records[catalog.Command]) error {
		if tries++; tries < 4 {
			return errors.New("the store is away")
		}
		return nil
	}
	run(t, c, l.ConsumeCommands)
	if err := l.SendCommands(t.Context(), command(1, 1), command(2, 1)); err != nil {
		t.Fatal(err)
	}
	c.wait(t, "2 commands", func() bool { return c.total() == 2 })
	c.mu.Lock()
	defer c.mu.Unlock()
	handles := slices.DeleteFunc(slices.Clone(c.calls), func(s string) bool { return !strings.HasPrefix(s, "handle") })
	if len(slices.Compact(handles[:4])) != 1 {
		t.Errorf("tries were not alike: %v", handles)
	}
	if n := len(l.said.lines("level=WARN", "the store is away")); n != 1 {
		t.Errorf("%d warnings for one failure, want 1", n)
	}
}

func fencedBeginsAgain(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	for i := range int64(20) {
		publish(t, l.Log, event(0, i+1))
	}
	c := newConsumer[catalog.Event]()
	var mu sync.Mutex
	begins := 0
	c.begin = func(_ context.Context, shard int32) (int64, error) {
		mu.Lock()
		defer mu.Unlock()
		if shard != 0 {
			return 0, nil
		}
		begins++
		return []int64{15, 3, 18}[begins-1], nil // forward and back
	}
	fenced := map[int64]bool{}
	c.handle = func(_ context.Context, r eventlog.Records[catalog.Event]) error {
		if (r.From == 15 || r.From == 3) && !fenced[r.From] {
			fenced[r.From] = true
			return fmt.Errorf("in the store: %w", catalog.ErrFenced)
		}
		return nil
	}
	stop := run(t, c, l.ConsumeEvents)
	c.wait(t, "2 events", func() bool { return len(c.items[0]) == 2 })
	stop()
	if got := []int64{c.items[0][0].Seq, c.items[0][1].Seq}; !slices.Equal(got, []int64{19, 20}) {
		t.Errorf("got %v, want 19 and 20 only", got)
	}
}

func cannotBegin(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	c := newConsumer[catalog.Command]()
	c.begin = func(context.Context, int32) (int64, error) { return 0, errors.New("the store is away") }
	stop := run(t, c, l.ConsumeCommands)
	c.wait(t, "3 tries of each shard", func() bool { return len(c.calls) >= 3*shards })
	stop()
	if n := len(l.said.lines("the store is away")); n != shards {
		t.Errorf("%d lines for %d shards that cannot begin", n, shards)
	}
}

func handleEnds(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	c := newConsumer[catalog.Command]()
	inHand, free := make(chan struct{}), make(chan struct{})
	c.handle = func(ctx context.Context, _ eventlog.Records[catalog.Command]) error {
		close(inHand)
		<-free
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.ConsumeCommands(ctx, c) }()
	if err := l.SendCommands(t.Context(), command(1, 1)); err != nil {
		t.Fatal(err)
	}
	<-inHand
	cancel()
	select {
	case <-done:
		t.Error("Commands returned before Handle")
	case free <- struct{}{}:
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c.total() != 1 {
		t.Error("the context of the Handle in hand had ended")
	}
	c.check(t)
}

// raw appends a record as it is.
func raw(t *testing.T, l *Log, topic string, partition int32, key, value []byte, h ...kgo.RecordHeader) {
	t.Helper()
	r := &kgo.Record{Topic: l.topic(topic), Partition: partition, Key: key, Value: value, Headers: h}
	if err := l.events.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func deadLetters(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	c1, c2 := command(1, 1), command(2, 1)
	shard := l.shard(c1.Product)
	if err := l.SendCommands(t.Context(), c1); err != nil {
		t.Fatal(err)
	}
	raw(t, l.Log, "commands", shard, []byte("key"), []byte("junk"), kgo.RecordHeader{Key: "from", Value: []byte("elsewhere")})
	raw(t, l.Log, "commands", shard, nil, nil)
	// A good command in a shard that is not its product's could be overtaken.
	stray := 2
	for l.shard(id(stray)) == shard {
		stray++
	}
	r, err := l.record(command(3, stray))
	if err != nil {
		t.Fatal(err)
	}
	raw(t, l.Log, "commands", shard, r.Key, r.Value)
	if err := l.SendCommands(t.Context(), c2); err != nil {
		t.Fatal(err)
	}

	c := newConsumer[catalog.Command]()
	var dead []eventlog.DeadLetter
	c.handle = func(_ context.Context, r eventlog.Records[catalog.Command]) error {
		dead = append(dead, r.DeadLetters...)
		return nil
	}
	run(t, c, l.ConsumeCommands)
	c.wait(t, "the good commands", func() bool { return c.total() == 2 })
	if got := c.items[shard]; got[0] != c1 || got[1] != c2 {
		t.Errorf("got %v", got)
	}
	if len(dead) != 3 || string(dead[0].Key) != "key" || string(dead[0].Value) != "junk" || dead[0].Size != 4 || dead[0].Shard != shard ||
		dead[0].Offset != 1 || dead[0].Headers[0].Key != "from" || dead[2].Offset != 3 || !bytes.Equal(dead[2].Value, r.Value) {
		t.Fatalf("dead letters: %+v", dead)
	}
	for _, d := range dead {
		if d.Cause == "" || strings.Contains(d.Cause, "junk") {
			t.Errorf("the cause at offset %d is %q", d.Offset, d.Cause)
		}
	}
}

func buried(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	if n, err := l.LastDeadLetter(t.Context(), 1); n != 0 || err != nil {
		t.Errorf("LastDead of nothing = %d, %v", n, err)
	}
	letters := []eventlog.DeadLetter{
		{Offset: 17, Key: []byte("key"), Value: []byte("junk"), Size: 4, Cause: "no command", Headers: []eventlog.RecordHeader{{Key: numberHeader, Value: []byte("77")}}},
		{Offset: 18, Value: make([]byte, 1_000_000), Size: 1_000_000, Cause: "no command"}, // with its headers more than a record may have
	}
	for i := range letters {
		letters[i].Shard, letters[i].Seq = 1, int64(i+1)
		done := make(chan error, 1)
		l.PublishDeadLetters(t.Context(), letters[i:i+1], func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if n, err := l.LastDeadLetter(t.Context(), 1); n != int64(i+1) || err != nil {
			t.Errorf("LastDead = %d, %v; want %d", n, err, i+1)
		}
	}
	if n, err := l.LastDeadLetter(t.Context(), 2); n != 0 || err != nil {
		t.Errorf("LastDead of another shard = %d, %v", n, err)
	}
	r, err := l.last(t.Context(), "dead-letters", 1)
	if err != nil || len(r.Value) != 0 {
		t.Errorf("the large one is there with %d bytes, %v", len(r.Value), err)
	}
}

func brokenEvent(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	publish(t, l.Log, event(1, 1))
	raw(t, l.Log, "events", 1, nil, []byte("junk"))
	publish(t, l.Log, event(2, 1))
	c := newConsumer[catalog.Event]()
	stop := run(t, c, l.ConsumeEvents)
	c.wait(t, "shard 1 stopped", func() bool { return slices.Contains(c.calls, "end 1") })
	publish(t, l.Log, event(2, 2))
	c.wait(t, "shard 2 goes on", func() bool { return len(c.items[2]) == 2 })
	stop()
	if n := len(l.said.lines("level=ERROR")); n != 1 {
		t.Errorf("%d errors logged, want 1: %v", n, l.said.lines("level=ERROR"))
	}
}

func outOfRange(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	c := newConsumer[catalog.Command]()
	c.begin = func(_ context.Context, shard int32) (int64, error) {
		if shard == 1 {
			return 1_000, nil
		}
		return 0, nil
	}
	run(t, c, l.ConsumeCommands)
	c.wait(t, "shard 1 stopped", func() bool { return slices.Contains(c.calls, "end 1") })
	// The others go on, and time for a second error passes.
	for i := range 30 {
		if err := l.SendCommands(t.Context(), command(i, i)); err != nil {
			t.Fatal(err)
		}
	}
	want := 0
	for i := range 30 {
		if l.shard(id(i)) != 1 {
			want++
		}
	}
	c.wait(t, "the other shards go on", func() bool { return c.total() == want })
	if lines := l.said.lines("level=ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "offset 1000 comes next and the topic ends at") || !strings.Contains(lines[0], "catalog repair") {
		t.Errorf("errors logged: %v", lines)
	}
	if v := value(t, l.metrics.stopped.WithLabelValues("writer", l.topic("commands"), "1")); v != 1 {
		t.Errorf("the alarm metric is %v", v)
	}
}

func shared(t *testing.T, brokers string) {
	cfg := config(t, brokers)
	l1, l2 := open(t, cfg), open(t, cfg)
	c1, c2 := newConsumer[catalog.Command](), newConsumer[catalog.Command]()
	stop1 := run(t, c1, l1.ConsumeCommands)
	c1.wait(t, "all shards with the first", func() bool { return c1.begun() == shards })
	run(t, c2, l2.ConsumeCommands)
	c2.wait(t, "half of the shards with the second", func() bool { return c2.begun() == shards/2 })
	c1.wait(t, "half of the shards with the first", func() bool { return c1.begun() == shards/2 })
	stop1()
	c2.wait(t, "all shards with the second", func() bool { return c2.begun() == shards })
	if err := l1.SendCommands(t.Context(), command(1, 1)); err != nil {
		t.Fatal(err)
	}
	c2.wait(t, "a command", func() bool { return c2.total() == 1 })
}

func committed(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	c := newConsumer[catalog.Command]()
	stop := run(t, c, l.ConsumeCommands)
	cmd := command(1, 1)
	if err := l.SendCommands(t.Context(), cmd, command(2, 1)); err != nil {
		t.Fatal(err)
	}
	c.wait(t, "2 commands", func() bool { return c.total() == 2 })
	stop()
	offsets, err := l.admin.FetchOffsets(t.Context(), l.cfg.TopicPrefix+".writer")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup(l.topic("commands"), l.shard(cmd.Product)); !ok || o.At != 2 {
		t.Errorf("the group is at %v, want 2", o.At)
	}
}

func followed(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	follow := func(name string) *consumer[catalog.Event] {
		c := newConsumer[catalog.Event]()
		run(t, c, func(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
			return l.ConsumeAllShards(ctx, name, c)
		})
		return c
	}
	a, b := follow("a"), follow("b")
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
	for _, c := range []*consumer[catalog.Event]{a, b} {
		c.wait(t, "300 events", func() bool { return c.total() == 300 })
		for shard, n := range map[int32]int{0: 200, 3: 100} {
			for i, e := range c.items[shard] {
				if !reflect.DeepEqual(e, event(shard, int64(i)+1)) || len(c.items[shard]) != n {
					t.Fatalf("shard %d, event %d of %d: %v", shard, i, len(c.items[shard]), e)
				}
			}
		}
	}
}

func lastSeq(t *testing.T, brokers string) {
	l := open(t, config(t, brokers))
	if seq, err := l.LastSeq(t.Context(), 1); seq != 0 || err != nil {
		t.Errorf("LastSeq of an empty shard = %d, %v", seq, err)
	}
	publish(t, l.Log, event(1, 5), event(1, 6))
	publish(t, l.Log, event(1, 7), event(1, 8), event(1, 9))
	if seq, err := l.LastSeq(t.Context(), 1); seq != 9 || err != nil {
		t.Errorf("LastSeq = %d, %v; want 9", seq, err)
	}
	starts, ends, err := l.EventOffsets(t.Context())
	if err != nil || !slices.Equal(starts, []int64{0, 0, 0, 0}) || !slices.Equal(ends, []int64{0, 5, 0, 0}) {
		t.Errorf("EventBounds = %v, %v, %v", starts, ends, err)
	}
}

func prepared(t *testing.T, brokers string) {
	cfg := config(t, brokers)
	fresh, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if err := fresh.LoadTopics(t.Context()); err == nil {
		t.Error("Join without topics is no error")
	}
	l := open(t, cfg)
	if err := l.CreateTopics(t.Context(), shards+1); err != nil || l.Shards() != shards {
		t.Errorf("the second Prepare: %v, %d shards; want no error and %d", err, l.Shards(), shards)
	}
	if _, err := l.admin.CreatePartitions(t.Context(), 1, l.topic("events")); err != nil {
		t.Fatal(err)
	}
	if err := l.LoadTopics(t.Context()); err == nil || !strings.Contains(err.Error(), "the same number") {
		t.Errorf("Join with %d and %d partitions: %v", shards, shards+1, err)
	}
}

func TestACommandThatGetsNoAnswerIsUnknown(t *testing.T) {
	c := cluster(t)
	l := open(t, config(t, c.ListenAddrs()[0]))
	asked, answer := make(chan struct{}), make(chan struct{})
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.SleepControl(func() { close(asked); <-answer })
		return nil, nil, false
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { <-asked; cancel() }()
	err := l.SendCommands(ctx, command(1, 1))
	close(answer)
	if !errors.Is(err, catalog.ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
	// And it is sent all the same.
	got := newConsumer[catalog.Command]()
	run(t, got, l.ConsumeCommands)
	got.wait(t, "the command", func() bool { return got.total() == 1 })
}

func TestASessionThatTheBrokersDoNotAllowIsSaidAtOnce(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1)) // which allows 6 s and more, as brokers do
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cfg := config(t, c.ListenAddrs()[0])
	cfg.SessionTimeout = time.Second
	l := open(t, cfg)
	err = l.ConsumeCommands(t.Context(), newConsumer[catalog.Command]())
	if err == nil || !strings.Contains(err.Error(), "-kafka.session-timeout 1s") {
		t.Errorf("Commands = %v; want an error that names the flag", err)
	}
}

func TestPublishGivesUpWhenItsContextEndsAndTheBufferIsFull(t *testing.T) {
	l := open(t, config(t, cluster(t).ListenAddrs()[0]))
	if err := l.unsent.Acquire(t.Context(), unsentRecords); err != nil {
		t.Fatal(err)
	}
	defer l.unsent.Release(unsentRecords)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan error, 1)
	l.PublishEvents(ctx, []catalog.Event{event(0, 1)}, func(err error) { done <- err })
	if err := <-done; !errors.Is(err, catalog.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestWithThreeReplicasARecordIsStoredWhenTwoHaveIt(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cfg := config(t, strings.Join(c.ListenAddrs(), ","))
	cfg.Replicas = 3
	l := open(t, cfg)
	for _, name := range []string{"commands", "events", "dead-letters"} {
		topics, err := l.admin.DescribeTopicConfigs(t.Context(), l.topic(name))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(topics[0].Configs, func(c kadm.Config) bool { return c.Key == "min.insync.replicas" && c.MaybeValue() == "2" }) {
			t.Errorf("%s: min.insync.replicas is not 2", name)
		}
	}
	if err := l.SendCommands(t.Context(), command(1, 1)); err != nil {
		t.Error(err)
	}
}

func TestOpenSaysInOneLineWhatIsMissing(t *testing.T) {
	for brokers, want := range map[string]string{"": "-kafka.brokers", "127.0.0.1:1": "127.0.0.1:1"} {
		_, err := Open(t.Context(), Config{Brokers: brokers}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Open(%q) = %v", brokers, err)
		}
	}
}
