package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/journal"
	"catalog/internal/rpc"
)

// Truncation describes the records that Kafka lost when the ends of the partitions of a topic were
// cut off.
type Truncation struct {
	Topic   string        `json:"topic"`
	At      time.Time     `json:"at"`      // when Kafka was killed
	Records map[int32]int `json:"records"` // by shard
}

// records that are cut off from each partition at least, if it has as many.
const cutRecords = 10

// truncations returns the faults in which Kafka dies and its topics have lost their last
// records, as after a power failure of the only replica or an unclean election. The system must
// stop, stay stopped though the topic grows, and go on after catalog repair.
func truncations(s *System, programs string, times int) []fault {
	if times == 0 {
		return nil
	}
	return []fault{
		{name: "truncated commands", times: times, fire: func(ctx context.Context, n int) error {
			if err := sleep(ctx, growth); err != nil {
				return err
			}
			// Commands that were lost before they were settled leave no gap.
			settled, err := s.settled(ctx)
			if err != nil {
				return err
			}
			// Every other time the writers are away, and see only a topic that has grown again.
			var away []*Process
			if n%2 == 1 {
				away = s.processes["writer"]
			}
			if err := s.truncate(ctx, "commands", settled, away); err != nil {
				return err
			}
			if len(away) > 0 {
				if err := sleep(ctx, growth); err != nil { // new commands take the offsets of the lost ones
					return err
				}
			}
			for _, p := range away {
				if err := p.Start(""); err != nil {
					return err
				}
			}
			if err := s.staysStopped(ctx); err != nil {
				return err
			}
			return s.repair(ctx, programs)
		}},
		{name: "truncated events", times: times, fire: func(ctx context.Context, _ int) error {
			if err := s.truncate(ctx, "events", make([]int64, shards), nil); err != nil {
				return err
			}
			if err := sleep(ctx, growth); err != nil {
				return err
			}
			// The journal has the events that the topic lacks, so the system may recover by
			// itself.
			if s.visible("writer", "repair") || s.visible("reader", "repair") {
				return s.repair(ctx, programs)
			}
			return s.ready(ctx)
		}},
	}
}

// growth is how long a truncated topic grows before the system is looked at again: under load,
// more records arrive than were cut off, and the shards have tried to go on several times.
const growth = 6 * time.Second

// staysStopped waits until all writers report that their shards are stopped, and fails when one
// goes on by itself. Then it restarts them and does so again.
func (s *System) staysStopped(ctx context.Context) error {
	for _, restarted := range []bool{false, true} {
		for _, p := range s.processes["writer"] {
			if restarted {
				if err := errors.Join(p.Kill(syscall.SIGKILL), p.Start("")); err != nil {
					return err
				}
			}
		}
		for _, p := range s.processes["writer"] {
			err := waitUntil(ctx, fmt.Sprintf("%s names repair (restarted: %v)", p.Name, restarted), func() bool { return strings.Contains(p.notReady(), "repair") })
			if err != nil {
				return err
			}
		}
		if err := sleep(ctx, growth); err != nil {
			return err
		}
		for _, p := range s.processes["writer"] {
			if p.notReady() == "" {
				return fmt.Errorf("%w: %s went on by itself after the commands topic had lost records (restarted: %v)", errBroken, p.Name, restarted)
			}
		}
	}
	return nil
}

// repair runs catalog repair, again while partitions have no leader, and waits until all services
// are ready.
func (s *System) repair(ctx context.Context, programs string) error {
	var last error
	err := waitUntil(ctx, "catalog repair succeeds", func() bool {
		var out string
		out, last = s.catalog(ctx, programs, "repair", "-yes")
		s.note("catalog repair: %s", out)
		return last == nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return s.ready(ctx)
}

// settled waits until each shard has settled commands, and returns offsets of the commands topic
// that the shards have reached: each settled command has an event.
func (s *System) settled(ctx context.Context) ([]int64, error) {
	conn, err := rpc.Dial(s.Writers, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	events := journal.Journal{Client: catalogv1.NewWriterServiceClient(conn)}
	offsets := make([]int64, shards)
	err = waitUntil(ctx, "each shard has settled commands", func() bool {
		for shard := range int32(shards) {
			next, err := events.Next(ctx, shard)
			if err != nil {
				return false
			}
			offsets[shard] = next - 1
			for _, t := range s.truncated {
				if t.Topic == "commands" { // the offsets of lost commands are used again
					offsets[shard] -= int64(t.Records[shard])
				}
			}
		}
		return slices.Min(offsets) > 0
	})
	return offsets, err
}

// truncate kills Kafka and the processes that are to be away, cuts off the last records of each
// partition of the topic, and starts Kafka again. Of a partition with an offset in below, it cuts
// off the record before that offset, too.
func (s *System) truncate(ctx context.Context, topic string, below []int64, away []*Process) error {
	if err := s.killEngine("kafka"); err != nil {
		return err
	}
	for _, p := range away {
		if err := p.Kill(syscall.SIGKILL); err != nil {
			return err
		}
	}
	t := Truncation{Topic: topic, At: time.Now(), Records: map[int32]int{}}
	for shard := range int32(shards) {
		n, err := cutTail(filepath.Join(s.dataFolder("kafka"), fmt.Sprintf("catalog.%s-%d", topic, shard)), cutRecords, below[shard])
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("shard %d of the %s topic has no records to lose", shard, topic)
		}
		t.Records[shard] = n
	}
	s.note("truncated: %v", t)
	s.truncated = append(s.truncated, t)
	return s.startEngines(ctx)
}

// cutTail removes batches with at least n records from the end of the last segment of a
// partition, and returns how many records they had. With an offset in below, it also removes the
// record before that offset.
func cutTail(folder string, n int, below int64) (removed int, err error) {
	segments, err := filepath.Glob(filepath.Join(folder, "*.log"))
	if err != nil || len(segments) == 0 {
		return 0, errors.Join(err, fmt.Errorf("no segments in %s", folder))
	}
	segment := slices.Max(segments) // the names are offsets of equal length
	b, err := os.ReadFile(segment)
	if err != nil {
		return 0, err
	}
	batches, err := scanBatches(b)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", segment, err)
	}
	size, end := int64(len(b)), int64(math.MaxInt64)
	for _, batch := range slices.Backward(batches) {
		if removed >= n && (below == 0 || end < below) {
			break
		}
		removed += batch.records
		size, end = batch.position, batch.first
	}
	return removed, os.Truncate(segment, size)
}

type recordBatch struct {
	position int64 // position in the file
	first    int64 // first offset
	records  int
}

// scanBatches returns the batches of a segment, in Kafka's format of version 2: offset (8 bytes),
// length of the rest (4), then after 45 bytes the number of records (4) and the records.
func scanBatches(segment []byte) (batches []recordBatch, err error) {
	const lengthAt, countAt, header = 8, 57, 61
	for at := 0; at < len(segment); {
		if len(segment)-at < header {
			return batches, fmt.Errorf("half a batch at %d", at)
		}
		size := 12 + int(binary.BigEndian.Uint32(segment[at+lengthAt:]))
		if size < header || at+size > len(segment) {
			return batches, fmt.Errorf("a batch of %d bytes at %d of %d", size, at, len(segment))
		}
		batches = append(batches, recordBatch{int64(at), int64(binary.BigEndian.Uint64(segment[at:])), int(binary.BigEndian.Uint32(segment[at+countAt:]))})
		at += size
	}
	return batches, nil
}
