package logging

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// An outage makes the same message for every shard and every retry. The first lines have all the
// information; the count of the others shows that the outage continues.
const (
	sampleBurst  = 20               // lines of one level and message in a window
	sampleWindow = 10 * time.Second // length of a window, from its first line
)

// sampler passes the first records of a level and message in each window on. At the end
// of a window it logs once more, with the number of those that it suppressed.
type sampler struct {
	slog.Handler
	windows *windows // shared by the handlers that With returns
}

type windows struct {
	base   slog.Handler // without the attributes of With, in which the records of a message differ
	mu     sync.Mutex
	counts map[messageKey]*windowCount // counts of the windows that have not ended
}

type messageKey struct {
	level   slog.Level
	message string
}

type windowCount struct {
	seen  int
	began time.Time
}

func newSampler(h slog.Handler) *sampler {
	return &sampler{h, &windows{base: h, counts: map[messageKey]*windowCount{}}}
}

func (s *sampler) Handle(ctx context.Context, r slog.Record) error {
	if r.Message != AccessMessage && !s.admit(messageKey{r.Level, r.Message}) {
		return nil
	}
	return s.Handler.Handle(ctx, r)
}

// admit reports whether the next record of the key is to be logged.
func (s *sampler) admit(k messageKey) bool {
	s.windows.mu.Lock()
	defer s.windows.mu.Unlock()
	now := time.Now()
	w := s.windows.counts[k]
	if w == nil || w.seen <= sampleBurst && now.Sub(w.began) >= sampleWindow {
		s.windows.counts[k] = &windowCount{seen: 1, began: now}
		return true
	}
	w.seen++
	if w.seen == sampleBurst+1 {
		time.AfterFunc(sampleWindow-now.Sub(w.began), func() { s.windows.end(k) })
	}
	return w.seen <= sampleBurst
}

// end ends the window of the key and logs how many of its records were suppressed.
func (w *windows) end(k messageKey) {
	w.mu.Lock()
	suppressed := w.counts[k].seen - sampleBurst
	delete(w.counts, k)
	w.mu.Unlock()
	r := slog.NewRecord(time.Now(), k.level, k.message, 0)
	r.AddAttrs(slog.Int("suppressed", suppressed), slog.Duration("within", sampleWindow))
	_ = w.base.Handle(context.Background(), r) // as slog does, an error of the log is not reported
}

func (s *sampler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &sampler{s.Handler.WithAttrs(attrs), s.windows}
}

func (s *sampler) WithGroup(name string) slog.Handler {
	return &sampler{s.Handler.WithGroup(name), s.windows}
}
