package writer_test

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
	"catalog/internal/wire"
)

func TestDeadLetters(t *testing.T) {
	t.Run("dead letters are listed, shown, and replayed when they hold an unsettled command", testDeadLetters)
}

func testDeadLetters(t *testing.T) {
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
		t.Errorf("ListDeadLetters = %v, %v; want two without values, newest first", list, err)
	}
	second := &catalogv1.DeadLetterID{Number: 2}
	got, err := c.GetDeadLetter(t.Context(), &catalogv1.GetDeadLetterRequest{Id: second})
	if err != nil || !bytes.Equal(got.GetLetter().GetValue(), value) || got.GetLetter().GetOffset() != 1 {
		t.Errorf("GetDeadLetter(2) = %v, %v; want the whole record of offset 1", got, err)
	}
	if _, err := c.GetDeadLetter(t.Context(), &catalogv1.GetDeadLetterRequest{Id: &catalogv1.DeadLetterID{Number: 3}}); status.Code(err) != codes.NotFound {
		t.Errorf("GetDeadLetter(3) = %v, want NOT_FOUND", err)
	}
	replay := func(id *catalogv1.DeadLetterID, dry bool) *catalogv1.ReplayDeadLetterResponse {
		r, err := c.ReplayDeadLetter(t.Context(), &catalogv1.ReplayDeadLetterRequest{Id: id, DryRun: dry})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := replay(&catalogv1.DeadLetterID{Number: 1}, false); r.GetSent() || r.GetCause() == "" || r.GetCommandId() != nil {
		t.Errorf("replay of junk = %v; want a cause and no command", r)
	}
	if r := replay(second, true); r.GetSent() || r.GetSettled() || !bytes.Equal(r.GetCommandId(), stray.ID[:]) || len(l.sent) != 0 {
		t.Errorf("dry run = %v, %d commands sent; want the command and none sent", r, len(l.sent))
	}
	if r := replay(second, false); !r.GetSent() || len(l.sent) != 1 || l.sent[0].ID != stray.ID {
		t.Errorf("replay = %v, %d commands sent; want the command sent", r, len(l.sent))
	}
	handle(t, w, eventlog.Records[catalog.Command]{From: 2, To: 3, Items: l.sent, Offsets: []int64{2}})
	if r := replay(second, false); r.GetSent() || !r.GetSettled() || len(l.sent) != 1 {
		t.Errorf("replay of a settled command = %v, %d commands sent; want none sent again", r, len(l.sent))
	}
}
