package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
)

// TestSendError lists the errors that the client and the brokers of a produce request
// can return. An error that is in neither list leaves the outcome open, which is safe.
func TestSendError(t *testing.T) {
	unknown := []error{
		kgo.ErrRecordTimeout, kgo.ErrRecordRetries, kgo.ErrAborting, kgo.ErrClientClosed, context.DeadlineExceeded, errors.New("EOF"),
		kerr.UnknownServerError, kerr.CorruptMessage, kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable, kerr.NotLeaderForPartition,
		kerr.RequestTimedOut, kerr.NetworkException, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.KafkaStorageError,
		kerr.OutOfOrderSequenceNumber, kerr.DuplicateSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.ProducerFenced,
		kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.UnknownTopicID, kerr.ThrottlingQuotaExceeded,
	}
	for _, err := range unknown {
		if got := sendError([]error{err}); !errors.Is(got, catalog.ErrOutcomeUnknown) || !errors.Is(got, err) {
			t.Errorf("sendError(%v) = %v; want ErrOutcomeUnknown", err, got)
		}
	}
	for _, known := range notStored {
		got := sendError([]error{known.err})
		if !errors.Is(got, known.kind) || errors.Is(got, catalog.ErrOutcomeUnknown) {
			t.Errorf("sendError(%v) = %v; want %v", known.err, got, known.kind)
		}
	}
	t.Run("the record that is too large says nothing about the log", func(t *testing.T) {
		if got := sendError([]error{kerr.MessageTooLarge}); errors.Is(got, catalog.ErrUnavailable) || errors.Is(got, catalog.ErrOutcomeUnknown) {
			t.Errorf("sendError = %v; want ErrTooLarge, which no breaker counts", got)
		}
	})
	t.Run("the outcome is unknown once a record may be stored", func(t *testing.T) {
		for _, errs := range [][]error{
			{nil, kgo.ErrMaxBuffered}, {kgo.ErrMaxBuffered, nil}, {kgo.ErrMaxBuffered, kgo.ErrRecordTimeout}, {kgo.ErrRecordTimeout, kgo.ErrMaxBuffered},
		} {
			if got := sendError(errs); !errors.Is(got, catalog.ErrOutcomeUnknown) {
				t.Errorf("sendError(%v) = %v; want ErrOutcomeUnknown", errs, got)
			}
		}
	})
	t.Run("stored records are no error", func(t *testing.T) {
		if got := sendError([]error{nil, nil}); got != nil {
			t.Errorf("sendError = %v; want nil", got)
		}
	})
}

func TestSendCommands_size(t *testing.T) {
	t.Run("a command that is too large is refused before it is sent", func(t *testing.T) {
		l := openLog(t, testConfig(t, fakeBroker(t)))
		large := command(0, 0)
		large.Op = catalog.PatchProduct{Patch: catalog.Patch{Attributes: map[string]*string{strings.Repeat("k", 1_000_000): nil}}}
		before := endOffsets(t, l)
		if err := l.SendCommands(t.Context(), command(1, 1), large); !errors.Is(err, catalog.ErrTooLarge) {
			t.Fatalf("SendCommands = %v; want ErrTooLarge", err)
		}
		if after := endOffsets(t, l); after != before {
			t.Errorf("%d commands are in the log; want none sent", after-before)
		}
	})
}

// endOffsets returns the number of commands that the log has stored.
func endOffsets(t *testing.T, l testLog) (n int64) {
	t.Helper()
	_, ends, err := l.CommandOffsets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ends {
		n += e
	}
	return n
}
