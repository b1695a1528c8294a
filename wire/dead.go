package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
)

// DeadLetterMessage is the message of a dead letter.
func DeadLetterMessage(d catalog.DeadLetter) *catalogv1.DeadLetter {
	m := &catalogv1.DeadLetter{
		Id: DeadLetterIDMessage(d.DeadLetterID), Cause: d.Cause, SentAt: timestamppb.New(d.At), Key: d.Key, Value: d.Value,
	}
	for _, h := range d.Headers {
		m.Headers = append(m.Headers, &catalogv1.Header{Key: h.Key, Value: h.Value})
	}
	return m
}

// DeadLetter reads what DeadLetterMessage writes.
func DeadLetter(m *catalogv1.DeadLetter) catalog.DeadLetter {
	d := catalog.DeadLetter{
		DeadLetterID: DeadLetterID(m.GetId()), Cause: m.GetCause(), At: Time(m.GetSentAt().AsTime()), Key: m.GetKey(), Value: m.GetValue(),
	}
	for _, h := range m.GetHeaders() {
		d.Headers = append(d.Headers, catalog.Header{Key: h.GetKey(), Value: h.GetValue()})
	}
	return d
}

// EncodeDeadLetter is the bytes of a dead letter, as the truth keeps it.
func EncodeDeadLetter(d catalog.DeadLetter) ([]byte, error) {
	b, err := proto.Marshal(DeadLetterMessage(d))
	if err != nil {
		return nil, fmt.Errorf("encode dead letter %s: %w", d.DeadLetterID, err)
	}
	return b, nil
}

// DecodeDeadLetter reads what EncodeDeadLetter writes.
func DecodeDeadLetter(b []byte) (catalog.DeadLetter, error) {
	var m catalogv1.DeadLetter
	if err := proto.Unmarshal(b, &m); err != nil {
		return catalog.DeadLetter{}, fmt.Errorf("decode dead letter: %w", err)
	}
	return DeadLetter(&m), nil
}

// DeadLetterIDMessage is the message of a dead letter's id.
func DeadLetterIDMessage(id catalog.DeadLetterID) *catalogv1.DeadLetterID {
	return &catalogv1.DeadLetterID{Shard: id.Shard, Offset: id.Offset}
}

// DeadLetterID reads what DeadLetterIDMessage writes; nil is before all.
func DeadLetterID(m *catalogv1.DeadLetterID) catalog.DeadLetterID {
	if m == nil {
		return catalog.DeadLetterID{Offset: -1}
	}
	return catalog.DeadLetterID{Shard: m.GetShard(), Offset: m.GetOffset()}
}
