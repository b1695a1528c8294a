package logging

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// shardsQuiet is the time without a further shard after which the line is
// written.
const shardsQuiet = 500 * time.Millisecond

// Shards logs what happens to many shards within a moment, such as the takeover of 64
// shards at the start, as one line: count=64 shards=0-63 took=1.2s.
type Shards struct {
	log     *slog.Logger
	message string

	mu          sync.Mutex
	numbers     map[int32]bool
	first, last time.Time
	timer       *time.Timer
}

// NewShards returns a Shards that logs message at info.
func NewShards(log *slog.Logger, message string) *Shards {
	return &Shards{log: log, message: message, numbers: map[int32]bool{}}
}

// Add adds a shard, whose work began at since, to the next line.
func (s *Shards) Add(shard int32, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.numbers) == 0 || since.Before(s.first) {
		s.first = since
	}
	s.numbers[shard] = true
	s.last = time.Now()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = time.AfterFunc(shardsQuiet, s.Flush)
}

// Flush logs the shards that were added since the last line, if there are any.
func (s *Shards) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.numbers) == 0 {
		return
	}
	s.timer.Stop()
	s.log.Info(s.message, "count", len(s.numbers), "shards", ranges(slices.Sorted(maps.Keys(s.numbers))), "took", s.last.Sub(s.first))
	clear(s.numbers)
}

// ranges writes sorted numbers as ranges: 0-5,7,9-10.
func ranges(numbers []int32) string {
	var parts []string
	for i := 0; i < len(numbers); {
		last := i
		for last+1 < len(numbers) && numbers[last+1] == numbers[last]+1 {
			last++
		}
		if last == i {
			parts = append(parts, fmt.Sprint(numbers[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", numbers[i], numbers[last]))
		}
		i = last + 1
	}
	return strings.Join(parts, ",")
}
