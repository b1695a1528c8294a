package kafka

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/eventlog"
)

func TestDeadLetters(t *testing.T) { runBrokerTests(t, fakeBroker(t), deadLetterTests) }

var deadLetterTests = []brokerTest{
	{"undecodable commands arrive as dead letters and the others as commands", undecodableCommands},
	{"dead letters are stored in order and the last one has its number", deadLettersAreStored},
}

func undecodableCommands(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	c1, c2 := command(1, 1), command(2, 1)
	shard := l.shard(c1.Product)
	send(t, l, c1)
	produce(t, l, "commands", shard, []byte("key"), []byte("junk"), kgo.RecordHeader{Key: "from", Value: []byte("elsewhere")})
	produce(t, l, "commands", shard, nil, nil)
	// A valid command in a partition that is not its product's.
	stray := 2
	for l.shard(id(stray)) == shard {
		stray++
	}
	r, err := l.commandRecord(command(3, stray))
	if err != nil {
		t.Fatal(err)
	}
	produce(t, l, "commands", shard, r.Key, r.Value)
	send(t, l, c2)

	c := newRecorder[catalog.Command]()
	var letters []eventlog.DeadLetter
	c.handle = func(_ context.Context, r eventlog.Records[catalog.Command]) error {
		letters = append(letters, r.DeadLetters...)
		return nil
	}
	start(t, c, l.ConsumeCommands)
	c.wait(t, "the valid commands", func() bool { return c.total() == 2 })
	if got := c.items[shard]; !reflect.DeepEqual(got, []catalog.Command{c1, c2}) {
		t.Errorf("commands = %v, %v; want those that were sent", got[0].ID, got[1].ID)
	}
	if len(letters) != 3 {
		t.Fatalf("%d dead letters, want 3", len(letters))
	}
	d := letters[0]
	if string(d.Key) != "key" || string(d.Value) != "junk" || d.Size != 4 || d.Shard != shard || d.Offset != 1 || d.Headers[0].Key != "from" {
		t.Errorf("first dead letter = %+v; want the record at offset 1 unchanged", d)
	}
	if d := letters[2]; d.Offset != 3 || !bytes.Equal(d.Value, r.Value) {
		t.Errorf("third dead letter is of offset %d with %d bytes; want offset 3 with %d bytes", d.Offset, len(d.Value), len(r.Value))
	}
	for _, d := range letters {
		if d.Cause == "" || strings.Contains(d.Cause, "junk") {
			t.Errorf("cause at offset %d = %q; want a cause without the value", d.Offset, d.Cause)
		}
	}
}

func deadLettersAreStored(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	if n, err := l.LastDeadLetter(t.Context(), 1); n != 0 || err != nil {
		t.Errorf("LastDeadLetter of an empty partition = %d, %v; want 0", n, err)
	}
	letters := []eventlog.DeadLetter{
		{Offset: 17, Key: []byte("key"), Value: []byte("junk"), Size: 4, Cause: "not a command", Headers: []eventlog.RecordHeader{{Key: numberHeader, Value: []byte("77")}}},
		{Offset: 18, Value: make([]byte, 1_000_000), Size: 1_000_000, Cause: "not a command"}, // with its headers, the record is above the limit
	}
	for i := range letters {
		letters[i].Shard, letters[i].Seq = 1, int64(i+1)
		done := make(chan error, 1)
		l.PublishDeadLetters(t.Context(), letters[i:i+1], func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if n, err := l.LastDeadLetter(t.Context(), 1); n != int64(i+1) || err != nil {
			t.Errorf("LastDeadLetter = %d, %v; want %d", n, err, i+1)
		}
	}
	if n, err := l.LastDeadLetter(t.Context(), 2); n != 0 || err != nil {
		t.Errorf("LastDeadLetter of another shard = %d, %v; want 0", n, err)
	}
	r, found, _, err := lastRecord(t.Context(), l.Log, "dead-letters", 1, 0, func(r *kgo.Record) (*kgo.Record, error) { return r, nil })
	if err != nil || !found || len(r.Value) != 0 {
		t.Errorf("the large dead letter was published as %+v, %v; want no value", r, err)
	}
}

func TestDeadLetter_longCause(t *testing.T) {
	d := deadLetter(&kgo.Record{}, errors.New(strings.Repeat("é", 1_000_000)))
	if len(d.Cause) < maxCauseBytes || len(d.Cause) > maxCauseBytes+3 || !utf8.ValidString(d.Cause) {
		t.Errorf("the cause has %d bytes, valid UTF-8: %v; want about %d, valid", len(d.Cause), utf8.ValidString(d.Cause), maxCauseBytes)
	}
}
