package writer

import (
	"context"
	"errors"
	"fmt"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
	"catalog/internal/wire"
)

// ListDeadLetters answers dead letters, newest first.
func (s Server) ListDeadLetters(ctx context.Context, r *catalogv1.ListDeadLettersRequest) (*catalogv1.ListDeadLettersResponse, error) {
	letters, err := s.Store.ListDeadLetters(ctx, r.Shard, letterID(r.GetAfter()), int(r.GetLimit()))
	if err != nil {
		return nil, err
	}
	answer := &catalogv1.ListDeadLettersResponse{Letters: make([]*catalogv1.DeadLetter, len(letters))}
	for i, d := range letters {
		answer.Letters[i] = wire.DeadLetterToProto(d)
	}
	return answer, nil
}

// GetDeadLetter answers a dead letter, whole.
func (s Server) GetDeadLetter(ctx context.Context, r *catalogv1.GetDeadLetterRequest) (*catalogv1.GetDeadLetterResponse, error) {
	d, err := s.letter(ctx, letterID(r.GetId()))
	if err != nil {
		return nil, err
	}
	return &catalogv1.GetDeadLetterResponse{Letter: wire.DeadLetterToProto(d)}, nil
}

// ReplayDeadLetter sends the command that can be made of a dead letter now: one
// that an older version could not read, or that stood in a partition that is not
// its product's. That the command has an id makes it safe to do so twice.
func (s Server) ReplayDeadLetter(ctx context.Context, r *catalogv1.ReplayDeadLetterRequest) (*catalogv1.ReplayDeadLetterResponse, error) {
	d, err := s.letter(ctx, letterID(r.GetId()))
	if err != nil {
		return nil, err
	}
	c, err := wire.DecodeCommand(d.Value)
	if err != nil {
		return &catalogv1.ReplayDeadLetterResponse{Cause: err.Error()}, nil
	}
	answer := &catalogv1.ReplayDeadLetterResponse{CommandId: c.ID[:]}
	switch _, err := s.Store.Receipt(ctx, c.ID); {
	case err == nil:
		answer.Settled = true
		return answer, nil
	case !errors.Is(err, catalog.ErrNotFound):
		return nil, err
	}
	if !r.GetDryRun() {
		if err := s.Log.SendCommands(ctx, c); err != nil {
			return nil, fmt.Errorf("%w: %w", catalog.ErrUnavailable, err) // to ask again is safe
		}
		answer.Sent = true
	}
	return answer, nil
}

func (s Server) letter(ctx context.Context, id catalog.Position) (eventlog.DeadLetter, error) {
	letters, err := s.Store.DeadLetters(ctx, id.Shard, id.Seq, 1)
	if err == nil && (len(letters) == 0 || letters[0].Seq != id.Seq) {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return eventlog.DeadLetter{}, err
	}
	return letters[0], nil
}

func letterID(m *catalogv1.DeadLetterID) catalog.Position {
	return catalog.Position{Shard: m.GetShard(), Seq: m.GetNumber()}
}
