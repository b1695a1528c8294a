package writer

import (
	"context"
	"errors"
	"fmt"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/wire"
)

// ListDeadLetters answers records that were no commands.
func (s Server) ListDeadLetters(ctx context.Context, r *catalogv1.ListDeadLettersRequest) (*catalogv1.ListDeadLettersResponse, error) {
	letters, err := s.Store.DeadLetters(ctx, wire.DeadLetterID(r.GetAfter()), int(r.GetLimit()))
	if err != nil {
		return nil, err
	}
	answer := &catalogv1.ListDeadLettersResponse{}
	for _, d := range letters {
		answer.Letters = append(answer.Letters, wire.DeadLetterMessage(d))
	}
	return answer, nil
}

// ReplayDeadLetter sends the command in a dead letter, if this version can
// decode it: to the shard of its product, wherever it stood.
func (s Server) ReplayDeadLetter(ctx context.Context, r *catalogv1.ReplayDeadLetterRequest) (*catalogv1.ReplayDeadLetterResponse, error) {
	id := wire.DeadLetterID(r.GetId())
	letters, err := s.Store.DeadLetters(ctx, catalog.DeadLetterID{Shard: id.Shard, Offset: id.Offset - 1}, 1)
	if err != nil {
		return nil, err
	}
	if len(letters) == 0 || letters[0].DeadLetterID != id {
		return nil, fmt.Errorf("dead letter %s: %w", id, catalog.ErrNotFound)
	}
	cmd, err := wire.DecodeCommand(letters[0].Value)
	if err != nil {
		return &catalogv1.ReplayDeadLetterResponse{Result: catalogv1.ReplayDeadLetterResponse_RESULT_UNDECODABLE, Cause: err.Error()}, nil
	}
	answer := &catalogv1.ReplayDeadLetterResponse{Result: catalogv1.ReplayDeadLetterResponse_RESULT_SENT, CommandId: cmd.ID[:]}
	switch _, err := s.Store.Receipt(ctx, cmd.ID); {
	case err == nil:
		answer.Result = catalogv1.ReplayDeadLetterResponse_RESULT_SETTLED
		return answer, nil
	case !errors.Is(err, catalog.ErrNotFound):
		return nil, err
	}
	if r.GetDryRun() {
		return answer, nil
	}
	return answer, s.Log.Send(ctx, cmd)
}
