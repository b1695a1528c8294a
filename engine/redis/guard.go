package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"catalog"
)

const (
	term     = time.Second            // for which a guard is valid without being prolonged
	prolong  = 300 * time.Millisecond // how often it is
	holdWait = 200 * time.Millisecond // for Redis to do it
)

// changing is the mark of a bucket with a product that is being changed. Other
// marks are the step at which that ended.
const changing = "x"

// bucket is where the changes of a product are marked: products that share one
// hinder each other's Fill for a moment, no more.
func bucket(id catalog.ID) string { return strconv.Itoa(int(id[15])) }

// guard is this process's claim that all changes of a shard are told to the
// cache before they are made. Its counterpart in Redis is a hash that expires.
type guard struct {
	owner string // this process, since it has the shard

	mu         sync.Mutex // held during each call to Redis: they take place one after the other
	generation string     // under which entries are valid; "" when that is not known
	step       int64      // changes with each call, so that an older state of Redis is told from this
	take       bool       // from whoever has it: nobody has been told yet that the shard is here
	lost       bool       // to another process
	open       bool       // entries may be filled
	changing   map[string]bool
	until      time.Time // when whatever Redis has or may yet get of this guard is over
}

// hold makes or prolongs a guard. A guard that is not at the step it should be
// at is not trusted: a new generation begins, and entries of the old are void.
// KEYS: guard, products to be removed. ARGV: owner, "take" or "", generation,
// step, next step, new generation, end of the term, open, then buckets and their marks.
var hold = rueidis.NewLuaScript(`
local now = redis.call('TIME')
local at = redis.call('HMGET', KEYS[1], 'owner', 'generation', 'step')
if at[1] and at[1] ~= ARGV[1] and ARGV[2] == '' then return {'', now[1], now[2]} end
local generation = ARGV[3]
if at[1] ~= ARGV[1] or at[2] ~= ARGV[3] or at[3] ~= ARGV[4] then
  generation = ARGV[6]
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'generation', generation, 'step', ARGV[5], 'open', ARGV[8])
for i = 9, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('PEXPIREAT', KEYS[1], ARGV[7])
return {generation, now[1], now[2]}`)

// hold has Redis do it. When it is not known whether it was done, the
// generation is given up. g.mu is held.
func (c *Cache) hold(ctx context.Context, shard int32, g *guard, admitted []string, forgotten []catalog.ID) error {
	ctx, cancel := context.WithTimeout(ctx, holdWait)
	defer cancel()
	sent := time.Now()
	g.until = sent.Add(term)
	take, open, step := "", "0", strconv.FormatInt(g.step+1, 10)
	if g.take {
		take = "take"
	}
	if g.open {
		open = "1"
	}
	keys := []string{c.guardKey(shard)}
	for _, id := range forgotten {
		keys = append(keys, c.productKey(id))
	}
	// The end of the term is a time of Redis's own clock: a call that it gets
	// late does not last longer.
	end := strconv.FormatInt(c.there(sent).Add(term).UnixMilli(), 10)
	args := []string{g.owner, take, g.generation, strconv.FormatInt(g.step, 10), step, rand.Text(), end, open}
	for b := range g.changing {
		args = append(args, b, changing)
	}
	for _, b := range admitted {
		args = append(args, b, step)
	}
	g.generation = ""
	g.step++
	reply, err := hold.Exec(ctx, c.client, keys, args).AsStrSlice()
	if err != nil {
		return fmt.Errorf("guard shard %d in the cache: %w", shard, err)
	}
	seconds, _ := strconv.ParseInt(reply[1], 10, 64)
	micros, _ := strconv.ParseInt(reply[2], 10, 64)
	c.setClock([]int64{seconds, micros})
	if g.generation = reply[0]; g.generation == "" {
		g.lost = true
		return fmt.Errorf("shard %d in the cache: %w", shard, catalog.ErrFenced)
	}
	g.take = false
	return nil
}

func (c *Cache) guard(shard int32) *guard {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.guards[shard]
}

// Guard takes the shard from whoever guards it. Nothing is stored until the
// first Admit. On an error the cache has nothing that is believed, as soon as Forget
// returns; Keep tries again.
func (c *Cache) Acquire(ctx context.Context, shard int32) error {
	g := &guard{owner: rand.Text(), take: true, changing: map[string]bool{}}
	g.mu.Lock()
	defer g.mu.Unlock()
	c.mu.Lock()
	c.guards[shard] = g
	c.mu.Unlock()
	return c.hold(ctx, shard, g, nil, nil)
}

// Forget returns when nobody is answered the products from the cache any more,
// until Admit. When Redis does not answer, that is when the term is over. It
// is ErrFenced when another process guards the shard.
func (c *Cache) Invalidate(ctx context.Context, shard int32, products []catalog.ID) error {
	g := c.guard(shard)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lost {
		return fmt.Errorf("shard %d in the cache: %w", shard, catalog.ErrFenced)
	}
	for _, id := range products {
		g.changing[bucket(id)] = true
	}
	if g.generation != "" {
		if err := c.hold(ctx, shard, g, nil, products); err == nil || errors.Is(err, catalog.ErrFenced) {
			return err
		}
	}
	select {
	case <-time.After(time.Until(g.until)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Admit lets the products of the shard be stored again, those forgotten too.
func (c *Cache) AllowFill(ctx context.Context, shard int32) error {
	g := c.guard(shard)
	g.mu.Lock()
	defer g.mu.Unlock()
	admitted := slices.Collect(maps.Keys(g.changing))
	clear(g.changing)
	g.open = true
	if g.generation == "" {
		return nil // the next generation knows nothing of what was
	}
	return c.hold(ctx, shard, g, admitted, nil)
}

// Leave ends the guard of the shard, which is over when its term is.
func (c *Cache) Release(shard int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.guards, shard)
}

// Keep prolongs the guards, and makes those anew that Redis has lost, until ctx
// ends.
func (c *Cache) RenewLeases(ctx context.Context) {
	tick := time.NewTicker(prolong)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.keep(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (c *Cache) keep(ctx context.Context) {
	// A call that Redis may get late makes Forget wait. One that does not answer
	// is not given any.
	answers := sync.OnceValue(func() bool {
		ctx, cancel := context.WithTimeout(ctx, holdWait)
		defer cancel()
		return c.Ping(ctx) == nil
	})
	c.mu.Lock()
	guards := maps.Clone(c.guards)
	c.mu.Unlock()
	var calls sync.WaitGroup
	for shard, g := range guards {
		calls.Go(func() {
			if !g.mu.TryLock() {
				return // it is at work, which prolongs it as well
			}
			defer g.mu.Unlock()
			if !g.lost && (g.generation != "" || answers()) {
				_ = c.hold(ctx, shard, g, nil, nil) // an error gives it up until the next time
			}
		})
	}
	calls.Wait()
}
