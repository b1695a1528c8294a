package kafka

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/internal/wire"
)

// commandRecord returns the record of a command.
func (l *Log) commandRecord(c catalog.Command) (*kgo.Record, error) {
	value, err := wire.EncodeCommand(c)
	if err != nil {
		return nil, err
	}
	return l.signer.sign(&kgo.Record{
		Topic: l.topic("commands"), Partition: l.shard(c.Product), Key: c.Product[:], Value: value,
		Headers: headers("command-id", c.ID.String(), traceparentHeader, c.Trace),
	}), nil
}

// eventRecord returns the record of an event.
func (l *Log) eventRecord(e catalog.Event) (*kgo.Record, error) {
	value, err := wire.EncodeEvent(e)
	if err != nil {
		return nil, err
	}
	return l.signer.sign(&kgo.Record{
		Topic: l.topic("events"), Partition: e.Shard, Key: e.Product.ID[:], Value: value,
		Headers: headers("seq", strconv.FormatInt(e.Seq, 10), "version", strconv.FormatInt(e.Product.Version, 10),
			"command-id", e.Command.String(), traceparentHeader, e.Trace),
	}), nil
}

// recordSize returns the bytes of key, value and headers of r.
func recordSize(r *kgo.Record) int {
	size := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value)
	}
	return size
}

// headers returns record headers from pairs of name and value. It leaves out
// pairs with an empty value.
func headers(pairs ...string) []kgo.RecordHeader {
	h := make([]kgo.RecordHeader, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			h = append(h, kgo.RecordHeader{Key: pairs[i], Value: []byte(pairs[i+1])})
		}
	}
	return h
}

// decodeCommand returns the command in r. A command in a partition that is not
// its product's is an error: another command of the product could overtake it. So is
// the zero id, which no product and no command has.
func (l *Log) decodeCommand(r *kgo.Record) (catalog.Command, error) {
	if err := l.signer.verify(r); err != nil {
		return catalog.Command{}, err
	}
	c, err := wire.DecodeCommand(r.Value)
	if err == nil && (c.ID == catalog.ID{} || c.Product == catalog.ID{}) {
		err = errors.New("the id of the command or of its product is zero")
	}
	if err == nil && l.shard(c.Product) != r.Partition {
		err = fmt.Errorf("product %s belongs to another partition", c.Product)
	}
	if err == nil && string(r.Key) != string(c.Product[:]) {
		err = fmt.Errorf("the record key differs from the id of the product, %s", c.Product)
	}
	return c, err
}

// decodeEvent returns the event in r. An event of a product of another shard is an
// error: another reader may write the product. So is one with a product that breaks
// the rules, which no writer makes: a view may be unable to store it, and a search
// index may need gigabytes for it.
func (l *Log) decodeEvent(r *kgo.Record) (catalog.Event, error) {
	if err := l.signer.verify(r); err != nil {
		return catalog.Event{}, err
	}
	e, err := wire.DecodeEvent(r.Value)
	switch {
	case err != nil:
	case e.Shard != r.Partition || l.shard(e.Product.ID) != r.Partition:
		err = fmt.Errorf("event %s of product %s belongs to another partition", e.Position, e.Product.ID)
	case e.Seq < 1 || e.Product.ID == catalog.ID{}:
		err = fmt.Errorf("event %s of product %s: neither is zero in an event", e.Position, e.Product.ID)
	case e.Applied() && e.Product.Exists():
		if err = e.Product.Validate(); err != nil {
			err = fmt.Errorf("event %s of product %s: %w", e.Position, e.Product.ID, err)
		}
	}
	return e, err
}
