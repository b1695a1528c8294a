package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/internal/wire"
)

// bareWrite does the minimum of a write: it appends a record to the log,
// commits a product and a row of the journal, and appends a second record.
type bareWrite struct {
	log   *kgo.Client
	conn  *pgx.Conn
	topic string
	next  int
}

func newBareWrite(ctx context.Context, e *engines) (*bareWrite, error) {
	schema, err := e.schema(ctx, e.own+"_bare")
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, schema)
	if err != nil {
		return nil, err
	}
	for _, table := range []string{plainProducts, plainJournal} {
		if _, err := conn.Exec(ctx, fmt.Sprintf(table, "bytea")); err != nil {
			return nil, err
		}
	}
	b := &bareWrite{conn: conn, topic: e.own + ".bare"}
	b.log, err = kgo.NewClient(kgo.SeedBrokers(e.kafka), kgo.DefaultProduceTopic(b.topic), kgo.ProducerLinger(0))
	if err != nil {
		return nil, err
	}
	_, err = kadm.NewClient(b.log).CreateTopic(ctx, 1, 1, nil, b.topic)
	return b, err
}

func (b *bareWrite) close(ctx context.Context) {
	b.log.Close()
	_ = b.conn.Close(ctx)
}

// run repeats the write for the time d and returns how long each took.
func (b *bareWrite) run(ctx context.Context, d time.Duration) (took []time.Duration, err error) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		b.next++
		p := product(b.next)
		encoded, err := wire.EncodeProduct(p)
		if err != nil {
			return nil, err
		}
		since := time.Now()
		if err := b.log.ProduceSync(ctx, &kgo.Record{Value: encoded}).FirstErr(); err != nil {
			return nil, err
		}
		if err := b.commit(ctx, p, encoded); err != nil {
			return nil, err
		}
		if err := b.log.ProduceSync(ctx, &kgo.Record{Value: encoded}).FirstErr(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(since))
	}
	if len(took) == 0 {
		return nil, errors.New("the time is too short for one write")
	}
	return took, nil
}

// commit stores the rows in one transaction, which the client sends at once.
func (b *bareWrite) commit(ctx context.Context, p catalog.Product, encoded []byte) error {
	var batch pgx.Batch
	batch.Queue("BEGIN")
	batch.Queue(insertProduct, p.ID.String(), p.SKU, encoded)
	batch.Queue(insertJournal, p.ID.String(), p.ID.String(), time.Now().Format(time.RFC3339Nano), encoded)
	batch.Queue("COMMIT")
	return b.conn.SendBatch(ctx, &batch).Close()
}
