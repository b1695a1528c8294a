package bleve

import (
	"context"
	"sync"

	"catalog/internal/cpu"
)

// Kinds of work that share the slots.
const (
	searchSlot = iota
	lookUpSlot // a search for an identifier, which takes a fraction of the time of others
	suggestSlot
	slotKinds
)

// slots limits how many searches run at once to the number of CPUs, since more would slow each other
// down. Kinds wait in queues of their own and take turns, so that many of one kind do not delay
// those of the others.
type slots struct {
	mu     sync.Mutex
	free   int
	queues [slotKinds][]*waiter
	last   int // the kind that got a slot last
}

// waiter is a search that waits for a slot.
type waiter struct {
	granted chan struct{} // closed when the waiter gets the slot
	left    bool          // the waiter has given up
}

func newSlots() *slots { return &slots{free: cpu.Count()} }

// acquire waits for a slot. Its only error is that of ctx.
func (s *slots) acquire(ctx context.Context, kind int) error {
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return nil
	}
	w := &waiter{granted: make(chan struct{})}
	s.queues[kind] = append(s.queues[kind], w)
	s.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.granted: // the slot was granted at the same time
		s.grantNext()
	default:
		w.left = true
	}
	return ctx.Err()
}

// release gives back a slot.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grantNext()
}

// grantNext gives a slot to the first search that waits, of the kind after the last one.
func (s *slots) grantNext() {
	for i := range slotKinds {
		kind := (s.last + 1 + i) % slotKinds
		for len(s.queues[kind]) > 0 {
			w := s.queues[kind][0]
			s.queues[kind] = s.queues[kind][1:]
			if !w.left {
				s.last = kind
				close(w.granted)
				return
			}
		}
	}
	s.free++
}
