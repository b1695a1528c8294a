package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
)

// EncodeDeadLetter is what the truth keeps of a dead letter.
func EncodeDeadLetter(d eventlog.DeadLetter) ([]byte, error) {
	return marshal.Marshal(DeadLetterToProto(d))
}

// DecodeDeadLetter reads what EncodeDeadLetter has written.
func DecodeDeadLetter(b []byte) (eventlog.DeadLetter, error) {
	m := &catalogv1.DeadLetter{}
	if err := proto.Unmarshal(b, m); err != nil {
		return eventlog.DeadLetter{}, fmt.Errorf("decode dead letter: %w", err)
	}
	return DeadLetterFromProto(m), nil
}

// DeadLetterMessage is d as a message.
func DeadLetterToProto(d eventlog.DeadLetter) *catalogv1.DeadLetter {
	m := &catalogv1.DeadLetter{
		Shard: d.Shard, Number: d.Seq, Offset: d.Offset, Cause: d.Cause, At: timestamp(d.At),
		Key: d.Key, Value: d.Value, Size: int64(d.Size),
	}
	for _, h := range d.Headers {
		m.Headers = append(m.Headers, &catalogv1.Header{Key: []byte(h.Key), Value: h.Value})
	}
	return m
}

// DeadLetter is m as a catalog type.
func DeadLetterFromProto(m *catalogv1.DeadLetter) eventlog.DeadLetter {
	d := eventlog.DeadLetter{
		Position: catalog.Position{Shard: m.GetShard(), Seq: m.GetNumber()}, Offset: m.GetOffset(),
		Cause: m.GetCause(), At: timeOf(m.GetAt()), Key: m.GetKey(), Value: m.GetValue(), Size: int(m.GetSize()),
	}
	for _, h := range m.GetHeaders() {
		d.Headers = append(d.Headers, eventlog.RecordHeader{Key: string(h.GetKey()), Value: h.GetValue()})
	}
	return d
}
