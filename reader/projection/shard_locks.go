package projection

import "sync"

// shardLocks serializes the work on each shard. The zero value is ready for use.
type shardLocks struct {
	mu    sync.Mutex
	locks map[int32]*sync.Mutex
}

// lock locks the shard and returns the function that unlocks it.
func (l *shardLocks) lock(shard int32) (unlock func()) {
	l.mu.Lock()
	if l.locks == nil {
		l.locks = map[int32]*sync.Mutex{}
	}
	m := l.locks[shard]
	if m == nil {
		m = &sync.Mutex{}
		l.locks[shard] = m
	}
	l.mu.Unlock()
	m.Lock()
	return m.Unlock
}
