package kafka

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"catalog/internal/memory"
)

// kgoRecords returns n records with values of the given size.
func kgoRecords(n, size int) []*kgo.Record {
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Offset: int64(i), Value: make([]byte, size)}
	}
	return records
}

// newFetchMemory returns a limit that pauses nothing.
func newFetchMemory() *fetchMemory {
	return &fetchMemory{share: (*memory.Budget)(nil).Share("fetch", fetchShare), pause: func() {}, resume: func() {}}
}

func TestFetchBuffer(t *testing.T) {
	take := func(t *testing.T, b *fetchBuffer) int {
		t.Helper()
		records, err := b.take(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(records)
	}
	t.Run("a batch is limited in records and in bytes", func(t *testing.T) {
		b := newFetchBuffer(newFetchMemory(), func() {}, func() {})
		b.put(kgoRecords(maxBatchRecords+1, 1), 0)
		if n, m := take(t, b), take(t, b); n != maxBatchRecords || m != 1 {
			t.Errorf("batches of %d and %d records, want %d and 1", n, m, maxBatchRecords)
		}
		b.put(kgoRecords(3, maxBatchBytes/2-recordOverhead), 0)
		if n, m := take(t, b), take(t, b); n != 2 || m != 1 {
			t.Errorf("batches of %d and %d records, want 2 and 1", n, m)
		}
	})
	t.Run("a record above the limit in bytes is a batch of its own", func(t *testing.T) {
		b := newFetchBuffer(newFetchMemory(), func() {}, func() {})
		b.put(kgoRecords(2, maxBatchBytes+1), 0)
		if n := take(t, b); n != 1 {
			t.Errorf("batch of %d records, want 1", n)
		}
	})
	t.Run("fetching pauses when the buffer is full and resumes when it is half empty", func(t *testing.T) {
		pauses, resumes := 0, 0
		b := newFetchBuffer(newFetchMemory(), func() { pauses++ }, func() { resumes++ })
		b.put(kgoRecords(maxBufferRecords, 1), 0)
		if pauses != 0 {
			t.Fatal("paused before the buffer was full")
		}
		b.put(kgoRecords(1, 1), 0)
		b.put(kgoRecords(1, 1), 0)
		if pauses != 1 || resumes != 0 {
			t.Fatalf("%d pauses and %d resumes of a full buffer, want 1 and 0", pauses, resumes)
		}
		for left := maxBufferRecords + 2; left > maxBufferRecords/2; left -= maxBatchRecords {
			if resumes != 0 {
				t.Fatalf("resumed with %d records left", left)
			}
			take(t, b)
		}
		if resumes != 1 {
			t.Errorf("%d resumes of a half empty buffer, want 1", resumes)
		}
	})
	t.Run("an error is returned after the records before it", func(t *testing.T) {
		b := newFetchBuffer(newFetchMemory(), func() {}, func() {})
		failed := errors.New("failed")
		b.put(kgoRecords(1, 1), 0)
		b.fail(failed)
		if n := take(t, b); n != 1 {
			t.Errorf("batch of %d records, want 1", n)
		}
		if _, err := b.take(t.Context(), nil); !errors.Is(err, failed) {
			t.Errorf("take = %v, want the error of fail", err)
		}
	})
	t.Run("take returns no records at the timeout and an error when ctx ends", func(t *testing.T) {
		b := newFetchBuffer(newFetchMemory(), func() {}, func() {})
		timeout := make(chan time.Time, 1)
		timeout <- time.Time{}
		if records, err := b.take(t.Context(), timeout); len(records) > 0 || err != nil {
			t.Errorf("take = %d records, %v; want none and no error", len(records), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.take(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("take = %v, want context.Canceled", err)
		}
	})
	t.Run("the lag counts from the offset to the end of the partition", func(t *testing.T) {
		b := newFetchBuffer(newFetchMemory(), func() {}, func() {})
		b.put(kgoRecords(1, 1), 10)
		if got := b.lag(7); got != 3 {
			t.Errorf("lag(7) = %d, want 3", got)
		}
		if got := b.lag(11); got != 0 {
			t.Errorf("lag(11) = %d, want 0", got)
		}
	})
}

func TestFetchMemory(t *testing.T) {
	take := func(t *testing.T, b *fetchBuffer) {
		t.Helper()
		if _, err := b.take(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	const record = fetchShare / 8
	setup := func() (m *fetchMemory, pauses, resumes *int) {
		m, pauses, resumes = newFetchMemory(), new(int), new(int)
		m.pause, m.resume = func() { *pauses++ }, func() { *resumes++ }
		return m, pauses, resumes
	}
	t.Run("all buffers together pause the topic", func(t *testing.T) {
		m, pauses, resumes := setup()
		a, b := newFetchBuffer(m, func() {}, func() {}), newFetchBuffer(m, func() {}, func() {})
		a.put(kgoRecords(4, record-recordOverhead), 0)
		b.put(kgoRecords(3, record-recordOverhead), 0)
		if *pauses != 0 {
			t.Fatal("paused below the limit")
		}
		b.put(kgoRecords(1, record-recordOverhead), 0)
		b.put(kgoRecords(1, 1), 0)
		if *pauses != 1 || *resumes != 0 {
			t.Fatalf("%d pauses and %d resumes of full buffers, want 1 and 0", *pauses, *resumes)
		}
		for range 4 { // each call gives back the batch before
			take(t, a)
			take(t, b)
		}
		if *resumes != 1 {
			t.Errorf("%d resumes of half empty buffers, want 1", *resumes)
		}
	})
	t.Run("a batch counts until the worker takes the next one", func(t *testing.T) {
		m, _, _ := setup()
		b := newFetchBuffer(m, func() {}, func() {})
		b.put(kgoRecords(2, record-recordOverhead), 0)
		take(t, b)
		if got := m.share.Held(); got != 2*record {
			t.Errorf("%d bytes are held while a worker has the batch, want %d", got, 2*record)
		}
		take(t, b)
		if got := m.share.Held(); got != record {
			t.Errorf("%d bytes are held after the first batch, want %d", got, record)
		}
	})
	t.Run("a dropped buffer gives back all bytes and takes no more", func(t *testing.T) {
		m, _, resumes := setup()
		b := newFetchBuffer(m, func() {}, func() {})
		b.put(kgoRecords(8, record-recordOverhead), 0)
		take(t, b)
		b.drop()
		b.put(kgoRecords(1, record), 0)
		b.drop()
		if got := m.share.Held(); got != 0 || *resumes != 1 {
			t.Errorf("%d bytes are held after drop, with %d resumes, want 0 and 1", got, *resumes)
		}
	})
}
