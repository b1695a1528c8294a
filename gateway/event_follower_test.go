package gateway

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"catalog"
	"catalog/eventlog"
)

// published is a subscriber that keeps the seqs it gets.
type published []int64

func (p *published) Begin(int32, int) {}
func (p *published) End(int32)        {}
func (p *published) Publish(_ int32, events []catalog.Event) {
	for _, e := range events {
		*p = append(*p, e.Seq)
	}
}

// head is a journal whose next event has that seq; 0 for one that cannot be read.
type head int64

func (h head) Next(context.Context, int32) (int64, error) {
	if h == 0 {
		return 0, errors.New("no writer")
	}
	return int64(h), nil
}

func TestEventFollower_forgedSeq(t *testing.T) {
	events := func(seqs ...int64) (r eventlog.Records[catalog.Event]) {
		for _, seq := range seqs {
			r.Items = append(r.Items, catalog.Event{Position: catalog.Position{Seq: seq}})
		}
		return r
	}
	for _, c := range []struct {
		name    string
		journal head
		want    []int64
	}{
		{"events that the journal does not have are skipped", 9, []int64{3, 4, 4, 5, 8}},
		{"while the journal cannot be read, all events are believed", 0, []int64{900, 3, 4, 4, 5, 8, 901}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got published
			f := newEventFollower(nil, c.journal, slog.New(slog.DiscardHandler), newPendingCommands(nil), &got)
			for _, r := range []eventlog.Records[catalog.Event]{events(900, 3), events(4), events(4, 5, 8, 901)} {
				if err := f.Handle(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("published %v, want %v", []int64(got), c.want)
			}
		})
	}
}
