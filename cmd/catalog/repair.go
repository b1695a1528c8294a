package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"catalog"
	"catalog/cmd/internal/service"
	"catalog/engine/embedded"
	"catalog/engine/kafka"
	"catalog/engine/postgres"
	"catalog/engine/sqlite"
	"catalog/eventlog"
	"catalog/internal/telemetry"
	"catalog/writer"
)

const repairManual = `repair [-dry-run] [-yes] [-data DIR] [-kafka.brokers ADDRESSES] [-postgres.url URL]

Compares where the store is with what the topics have, says what does not fit, and
mends it: topics that were made anew or have lost records, and a store that was set
back to a backup. Nothing is changed before you agree.
`

// truth is a store that can be repaired.
type truth interface {
	writer.Store
	ResetShards(ctx context.Context, topics eventlog.Topics, offsets map[int32]int64) error
	AppendEvents(ctx context.Context, events []catalog.Event) error
}

// repair is `catalog repair`.
func repair(ctx context.Context, args []string) error {
	var (
		data     string
		dry, yes bool
		log      kafka.Config
		pg       postgres.Config
	)
	fs := flags("repair", repairManual)
	fs.StringVar(&data, "data", "catalog-data", "`folder` of what is not given as an address; no process may have it open")
	fs.BoolVar(&dry, "dry-run", false, "only say what is wrong and what would be done")
	fs.BoolVar(&yes, "yes", false, "do not ask")
	log.Flags(fs)
	pg.Flags(fs)
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return wrongUsage("%q is not a flag; see catalog repair -h", fs.Arg(0))
	}
	t, err := telemetry.Open(ctx, "repair", service.Version, telemetry.Config{}, os.Stderr)
	if err != nil {
		return err
	}
	defer t.Close()
	var store truth
	if log.Brokers == "" || pg.URL == "" {
		if _, err := os.Stat(data); err != nil {
			return wrongUsage("there is no data folder %s; name it with -data, or give -kafka.brokers and -postgres.url", data)
		}
		dir, err := embedded.Open(data)
		if err != nil {
			return err
		}
		defer dir.Close()
		if log.Brokers == "" {
			log.Replicas, log.Partitions = 1, embedded.Shards
			if log.Brokers, err = dir.Kafka(); err != nil {
				return err
			}
		}
		if pg.URL == "" {
			db, err := sqlite.Open(ctx, dir.Path("catalog.db"))
			if err != nil {
				return err
			}
			defer db.Close()
			store = sqlite.NewStore(db)
		}
	}
	if store == nil {
		s, err := postgres.Open(ctx, pg)
		if err != nil {
			return err
		}
		defer s.Close()
		store = s
	}
	l, err := kafka.Open(ctx, log, t.Log, t.Registry)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.LoadTopics(ctx); err != nil {
		return err
	}
	found, err := examine(ctx, store, l)
	if err != nil {
		return err
	}
	if len(found.wrong) == 0 {
		fmt.Println("store and topics fit; there is nothing to repair")
		return nil
	}
	if err := found.print(os.Stdout); err != nil || dry {
		return err
	}
	if !yes && !agreed(os.Stdin, os.Stdout) {
		return errors.New("nothing was changed")
	}
	if err := found.mend(ctx, store); err != nil {
		return err
	}
	fmt.Println("repaired; services that said a topic was made anew go on when they are started again, others by themselves")
	return nil
}

// agreed asks whether to go on.
func agreed(in io.Reader, out io.Writer) bool {
	fmt.Fprint(out, "\nDo it? [y/N] ")
	answer, _ := bufio.NewReader(in).ReadString('\n')
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}

// findings are what does not fit, and how it is mended.
type findings struct {
	wrong   [][3]string // where, what, and what is done
	topics  eventlog.Topics
	offsets map[int32]int64 // of the commands topic, of shards that are moved
	events  []catalog.Event // that the store does not have
}

func (f *findings) add(where, what, remedy string) {
	f.wrong = append(f.wrong, [3]string{where, what, remedy})
}

// examine compares the store with the topics. It answers an error for what
// cannot be mended.
func examine(ctx context.Context, store truth, l *kafka.Log) (*findings, error) {
	f := &findings{topics: l.Topics(), offsets: map[int32]int64{}}
	states, err := store.States(ctx)
	if err != nil {
		return nil, err
	}
	if len(states) != l.Shards() {
		return nil, fmt.Errorf("the topics have %d partitions and the store has %d shards, which is fixed for life: export all products, make new topics with -kafka.topic-prefix and an empty database, and import", l.Shards(), len(states))
	}
	was, err := store.BindTopics(ctx, f.topics)
	if err != nil {
		return nil, err
	}
	starts, ends, err := l.CommandOffsets(ctx)
	if err != nil {
		return nil, err
	}
	anew := was.Commands != f.topics.Commands
	if anew {
		f.add("commands", "the topic was made anew", "read it from its start; what is settled is not settled again")
	}
	if was.Events != f.topics.Events {
		f.add("events", "the topic was made anew", "go on in the new one; readers take what they miss from the journal")
	}
	for i, st := range states {
		start, end, where := starts[i], ends[i], fmt.Sprintf("commands, shard %d", st.Shard)
		switch {
		case anew:
			f.offsets[st.Shard] = start
		case st.Offset < start:
			f.offsets[st.Shard] = start
			f.add(where, fmt.Sprintf("the store is at offset %d and the topic begins at %d", st.Offset, start), fmt.Sprintf("go on at %d; %d records are gone", start, start-st.Offset))
		case st.Offset > end:
			f.offsets[st.Shard] = start
			f.add(where, fmt.Sprintf("the store is at offset %d and the topic ends at %d", st.Offset, end), fmt.Sprintf("go on at %d; what is settled is not settled again", start))
		}
		last, err := l.LastSeq(ctx, st.Shard)
		if err != nil {
			return nil, err
		}
		if last < st.NextSeq {
			continue
		}
		events, err := l.ReadEvents(ctx, st.Shard, st.NextSeq)
		if err != nil {
			return nil, err
		}
		if got := st.NextSeq - 1 + int64(len(events)); got < last {
			return nil, fmt.Errorf("shard %d: the store was set back to seq %d, and the events topic does not have %d any more: restore a newer backup", st.Shard, st.NextSeq-1, got+1)
		}
		f.events = append(f.events, events...)
		f.add(fmt.Sprintf("events, shard %d", st.Shard), fmt.Sprintf("the store is at seq %d and the topic at %d: the store was set back", st.NextSeq-1, last), fmt.Sprintf("put %d events back into the store", len(events)))
	}
	return f, nil
}

func (f *findings) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WHERE\tWHAT IS WRONG\tWHAT IS DONE")
	for _, w := range f.wrong {
		fmt.Fprintf(table, "%s\t%s\t%s\n", w[0], w[1], w[2])
	}
	return table.Flush()
}

// mend does what was found necessary. Whatever of it was done can be done again.
func (f *findings) mend(ctx context.Context, store truth) error {
	if len(f.events) > 0 {
		if err := store.AppendEvents(ctx, f.events); err != nil {
			return err
		}
	}
	return store.ResetShards(ctx, f.topics, f.offsets)
}
