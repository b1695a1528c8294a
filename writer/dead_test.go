package writer_test

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
	"catalog/internal/wire"
)

// junk are n records of shard 0 from the offset on that are no commands.
func junk(from, n int) []eventlog.DeadLetter {
	letters := make([]eventlog.DeadLetter, n)
	for i := range letters {
		letters[i] = eventlog.DeadLetter{Offset: int64(from + i), Cause: "it is junk", Value: []byte("junk"), Size: 4}
	}
	return letters
}

func (l *topic) numbers() (numbers []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.dead {
		numbers = append(numbers, d.Seq)
	}
	return numbers
}

func wantNumbers(t *testing.T, l *topic, want ...int64) {
	t.Helper()
	if got := l.numbers(); !slices.Equal(got, want) {
		t.Errorf("dead letters %v, want %v", got, want)
	}
}

func TestARecordThatIsNoCommandIsPutAsideWithItsBatch(t *testing.T) {
	store := &lossy{Store: newStore(t), commit: true}
	w, l := newWriter(t, store)
	l.store = store.Store
	begin(t, w, 0)
	r := records(0, 3)
	r.To, r.DeadLetters = 5, junk(3, 2)
	handle(t, w, r)
	store.lose = errLost // of a batch of nothing else
	handle(t, w, eventlog.Records[catalog.Command]{From: 5, To: 6, DeadLetters: junk(5, 1)})
	r = records(6, 1)
	handle(t, w, r)
	wantSeqs(t, l, 1, 2, 3, 4)
	wantNumbers(t, l, 1, 2, 3)
	kept, err := store.DeadLetters(t.Context(), 0, 1, 10)
	if err != nil || len(kept) != 3 || kept[2].Offset != 5 || kept[0].Cause != "it is junk" || kept[0].At.IsZero() {
		t.Errorf("kept are %+v, %v", kept, err)
	}
}

func TestATakeoverPublishesTheDeadLettersThatAreMissing(t *testing.T) {
	store := newStore(t)
	w, l := newWriter(t, store)
	begin(t, w, 0)
	handle(t, w, eventlog.Records[catalog.Command]{To: 5, DeadLetters: junk(0, 5)})
	l.held = true // the first writer dies with these unsent
	handle(t, w, eventlog.Records[catalog.Command]{From: 5, To: 30, DeadLetters: junk(5, 25)})
	next := &topic{t: t, store: store, dead: slices.Clone(l.dead)}
	begin(t, writerOn(store, next), 30)
	var want []int64
	for i := range int64(30) {
		want = append(want, i+1)
	}
	wantNumbers(t, next, want...)
	begin(t, writerOn(store, next), 30)
	wantNumbers(t, next, want...)
}

func TestADeadLetterIsSentAgainWhenThereIsACommandInItThatIsNotSettled(t *testing.T) {
	store := newStore(t)
	w, l := newWriter(t, store)
	begin(t, w, 0)
	stray := create(7)
	value, err := wire.EncodeCommand(stray)
	if err != nil {
		t.Fatal(err)
	}
	dead := junk(0, 2)
	dead[1].Value = value
	handle(t, w, eventlog.Records[catalog.Command]{To: 2, DeadLetters: dead})

	c := serve(t, store, l)
	list, err := c.ListDeadLetters(t.Context(), &catalogv1.ListDeadLettersRequest{Limit: 10})
	if err != nil || len(list.GetLetters()) != 2 || list.GetLetters()[0].GetNumber() != 2 || list.GetLetters()[0].GetValue() != nil {
		t.Errorf("the list is %v, %v", list, err)
	}
	second := &catalogv1.DeadLetterID{Number: 2}
	got, err := c.GetDeadLetter(t.Context(), &catalogv1.GetDeadLetterRequest{Id: second})
	if err != nil || !bytes.Equal(got.GetLetter().GetValue(), value) || got.GetLetter().GetOffset() != 1 {
		t.Errorf("the second is %v, %v", got, err)
	}
	if _, err := c.GetDeadLetter(t.Context(), &catalogv1.GetDeadLetterRequest{Id: &catalogv1.DeadLetterID{Number: 3}}); status.Code(err) != codes.NotFound {
		t.Errorf("the third = %v, want NOT_FOUND", err)
	}
	replay := func(id *catalogv1.DeadLetterID, dry bool) *catalogv1.ReplayDeadLetterResponse {
		r, err := c.ReplayDeadLetter(t.Context(), &catalogv1.ReplayDeadLetterRequest{Id: id, DryRun: dry})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := replay(&catalogv1.DeadLetterID{Number: 1}, false); r.GetSent() || r.GetCause() == "" || r.GetCommandId() != nil {
		t.Errorf("replay of junk: %v", r)
	}
	if r := replay(second, true); r.GetSent() || r.GetSettled() || !bytes.Equal(r.GetCommandId(), stray.ID[:]) || len(l.sent) != 0 {
		t.Errorf("dry run: %v, %d sent", r, len(l.sent))
	}
	if r := replay(second, false); !r.GetSent() || len(l.sent) != 1 || l.sent[0].ID != stray.ID {
		t.Errorf("replay: %v, sent %v", r, l.sent)
	}
	handle(t, w, eventlog.Records[catalog.Command]{From: 2, To: 3, Items: l.sent})
	if r := replay(second, false); r.GetSent() || !r.GetSettled() || len(l.sent) != 1 {
		t.Errorf("replay of what is settled: %v, %d sent", r, len(l.sent))
	}
}
