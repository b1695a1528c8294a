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

// ListDeadLetters returns dead letters without key, value and headers, newest
// first.
func (s Server) ListDeadLetters(ctx context.Context, r *catalogv1.ListDeadLettersRequest) (*catalogv1.ListDeadLettersResponse, error) {
	letters, err := s.Store.ListDeadLetters(ctx, r.Shard, deadLetterPosition(r.GetAfter()), int(r.GetLimit()))
	if err != nil {
		return nil, err
	}
	response := &catalogv1.ListDeadLettersResponse{Letters: make([]*catalogv1.DeadLetter, len(letters))}
	for i, d := range letters {
		response.Letters[i] = wire.DeadLetterToProto(d)
	}
	return response, nil
}

// GetDeadLetter returns a whole dead letter.
func (s Server) GetDeadLetter(ctx context.Context, r *catalogv1.GetDeadLetterRequest) (*catalogv1.GetDeadLetterResponse, error) {
	d, err := s.deadLetter(ctx, deadLetterPosition(r.GetId()))
	if err != nil {
		return nil, err
	}
	return &catalogv1.GetDeadLetterResponse{Letter: wire.DeadLetterToProto(d)}, nil
}

// ReplayDeadLetter decodes a dead letter again and sends its command: one that
// an older version could not decode, or that was in a partition that is not its
// product's. A second replay is safe, because a command is settled once by its
// id.
func (s Server) ReplayDeadLetter(ctx context.Context, r *catalogv1.ReplayDeadLetterRequest) (*catalogv1.ReplayDeadLetterResponse, error) {
	d, err := s.deadLetter(ctx, deadLetterPosition(r.GetId()))
	if err != nil {
		return nil, err
	}
	c, err := wire.DecodeCommand(d.Value)
	if err != nil {
		return &catalogv1.ReplayDeadLetterResponse{Cause: err.Error()}, nil
	}
	response := &catalogv1.ReplayDeadLetterResponse{CommandId: c.ID[:]}
	switch _, err := s.Store.Receipt(ctx, c.ID); {
	case err == nil:
		response.Settled = true
		return response, nil
	case !errors.Is(err, catalog.ErrNotFound):
		return nil, err
	}
	if !r.GetDryRun() {
		if err := s.Log.SendCommands(ctx, c); err != nil {
			return nil, fmt.Errorf("%w: %w", catalog.ErrUnavailable, err) // a retry is safe
		}
		response.Sent = true
	}
	return response, nil
}

// deadLetter returns the dead letter with the id, or ErrNotFound.
func (s Server) deadLetter(ctx context.Context, id catalog.Position) (eventlog.DeadLetter, error) {
	letters, err := s.Store.DeadLetters(ctx, id.Shard, id.Seq, 1)
	if err == nil && (len(letters) == 0 || letters[0].Seq != id.Seq) {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return eventlog.DeadLetter{}, err
	}
	return letters[0], nil
}

func deadLetterPosition(m *catalogv1.DeadLetterID) catalog.Position {
	return catalog.Position{Shard: m.GetShard(), Seq: m.GetNumber()}
}
