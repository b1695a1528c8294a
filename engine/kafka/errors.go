package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
)

// notStored lists the errors of the client and of brokers with which a record was
// certainly not stored, and the kind of error that the caller of SendCommands gets. All
// other errors leave open whether the record was stored, or will be.
var notStored = []struct{ err, kind error }{
	// the client refused the record before it sent it
	{kgo.ErrMaxBuffered, catalog.ErrOverloaded},
	// the client or a broker refused this record; the log can be reached
	{kerr.MessageTooLarge, catalog.ErrTooLarge},
	{kerr.RecordListTooLarge, catalog.ErrTooLarge},
	// a broker refuses all records of this client: an operator must act
	{kerr.TopicAuthorizationFailed, catalog.ErrUnavailable},
	{kerr.ClusterAuthorizationFailed, catalog.ErrUnavailable},
	{kerr.SaslAuthenticationFailed, catalog.ErrUnavailable},
	{kerr.InvalidTopicException, catalog.ErrUnavailable},
	{kerr.PolicyViolation, catalog.ErrUnavailable},
	{kerr.UnsupportedForMessageFormat, catalog.ErrUnavailable},
	{kerr.InvalidTimestamp, catalog.ErrUnavailable},
	{kerr.InvalidRecord, catalog.ErrUnavailable},
	{kerr.InvalidRequiredAcks, catalog.ErrUnavailable},
}

// sendErrorKind returns the kind of error of a record that the client failed with err.
func sendErrorKind(err error) error {
	for _, known := range notStored {
		if errors.Is(err, known.err) {
			return known.kind
		}
	}
	return catalog.ErrOutcomeUnknown
}

// sendError returns the error of a call of SendCommands from the errors of its records,
// nil for a record that is stored. The outcome is unknown as soon as one record may be
// stored and another is not.
func sendError(errs []error) error {
	var kind, cause error
	stored := false
	for _, err := range errs {
		if err == nil {
			stored = true
		} else if k := sendErrorKind(err); cause == nil || errors.Is(k, catalog.ErrOutcomeUnknown) {
			kind, cause = k, err
		}
	}
	switch {
	case cause == nil:
		return nil
	case stored:
		kind = catalog.ErrOutcomeUnknown
	}
	return fmt.Errorf("send %d commands: %w: %w", len(errs), kind, cause)
}
