package redis

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"catalog"
	"catalog/internal/wire"
)

// absentTTL is how long it is remembered that there is no such product: short,
// since anybody can ask for any number of those.
const absentTTL = time.Minute

// generationSize is the length of the name of a generation, with which each
// entry begins.
const generationSize = 26

// Product answers the product as the view has it, and whether it is here. One of
// version 0 was never there. Where it is not here, the ticket is for Fill, unless
// it is "".
func (c *Cache) Product(ctx context.Context, id catalog.ID) (p catalog.Product, found bool, ticket string, err error) {
	replies := c.client.DoMulti(ctx,
		c.client.B().Get().Key(c.productKey(id)).Build(),
		c.client.B().Hmget().Key(c.guardKey(catalog.Shard(id, c.shards))).Field("generation", "open", bucket(id)).Build(),
	)
	guard, err := replies[1].ToArray()
	if err != nil {
		return p, false, "", fmt.Errorf("guard of cached product %s: %w", id, err)
	}
	generation, err := guard[0].ToString()
	if err != nil || !c.lasting() {
		return p, false, "", nil // nobody guards the shard, or not for certain
	}
	encoded, found, err := entryOf(id, replies[0], generation)
	switch {
	case err != nil:
		return p, false, "", err
	case found && len(encoded) == 0:
		return catalog.Product{ID: id}, true, "", nil
	case found:
		if p, err = wire.DecodeProduct(encoded); err != nil {
			return p, false, "", fmt.Errorf("cached product %s: %w", id, err)
		}
		return p, true, "", nil
	}
	open, _ := guard[1].ToString()
	mark, _ := guard[2].ToString()
	if open != "1" || mark == changing {
		return p, false, "", nil
	}
	return p, false, generation + mark, nil
}

// Products answers those of the products that are here, by id, as entries have
// them: see reader.Cache.
func (c *Cache) Products(ctx context.Context, ids []catalog.ID) (map[catalog.ID][]byte, error) {
	in := map[int32][]catalog.ID{} // by shard
	for _, id := range ids {
		shard := catalog.Shard(id, c.shards)
		in[shard] = append(in[shard], id)
	}
	shards, commands := make([]int32, 0, len(in)), make(rueidis.Commands, 0, 2*len(in))
	for shard, ids := range in {
		keys := make([]string, len(ids))
		for i, id := range ids {
			keys[i] = c.productKey(id)
		}
		// The guard after the entries: they are valid if it is still the one they
		// were stored under.
		shards, commands = append(shards, shard), append(commands,
			c.client.B().Mget().Key(keys...).Build(),
			c.client.B().Hget().Key(c.guardKey(shard)).Field("generation").Build())
	}
	replies := c.client.DoMulti(ctx, commands...)
	all := make(map[catalog.ID][]byte, len(ids))
	for i, shard := range shards {
		entries, err := replies[2*i].ToArray()
		if err != nil {
			return nil, fmt.Errorf("cached products of shard %d: %w", shard, err)
		}
		generation, err := replies[2*i+1].ToString()
		if rueidis.IsRedisNil(err) {
			continue // nobody guards it
		}
		if err != nil {
			return nil, fmt.Errorf("guard of cached products of shard %d: %w", shard, err)
		}
		for j, id := range in[shard] {
			encoded, found, err := entryOf(id, &entries[j], generation)
			if err != nil {
				return nil, err
			}
			if found {
				all[id] = encoded
			}
		}
	}
	if !c.lasting() {
		return nil, nil
	}
	return all, nil
}

// lasting says whether the guards in Redis are of now. A Redis that was started
// again may have some of before, until their term is over. Who is connected for
// longer than that asks a Redis that runs for longer than that.
func (c *Cache) lasting() bool { return time.Since(time.Unix(0, c.dialed.Load())) >= term }

// entryOf is the encoded product that an entry has, if it is there and of the
// generation: empty for one that was never in the view.
func entryOf(id catalog.ID, entry interface{ AsBytes() ([]byte, error) }, generation string) (encoded []byte, found bool, err error) {
	b, err := entry.AsBytes()
	switch {
	case rueidis.IsRedisNil(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("cached product %s: %w", id, err)
	}
	encoded, found = bytes.CutPrefix(b, []byte(generation))
	return encoded, found, nil
}

// fill stores an entry if its ticket would still be given.
// KEYS: guard, product. ARGV: generation, bucket, mark, entry, time to live.
var fill = rueidis.NewLuaScript(`
local at = redis.call('HMGET', KEYS[1], 'generation', 'open', ARGV[2])
if at[1] ~= ARGV[1] or at[2] ~= '1' or (at[3] or '') ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
return 1`)

// Fill stores a product that was read from the view after the ticket was given,
// unless it may have changed since.
func (c *Cache) Fill(ctx context.Context, ticket string, p catalog.Product) error {
	if len(ticket) < generationSize {
		return nil
	}
	generation, mark := ticket[:generationSize], ticket[generationSize:]
	entry, ttl := generation, min(absentTTL, c.ttl)
	if p.Version > 0 {
		value, err := wire.EncodeProduct(p)
		if err != nil {
			return err
		}
		entry, ttl = entry+rueidis.BinaryString(value), c.ttl
	}
	ttl += rand.N(ttl/5+1) - ttl/10 // what was stored together does not expire together
	err := fill.Exec(ctx, c.client,
		[]string{c.guardKey(catalog.Shard(p.ID, c.shards)), c.productKey(p.ID)},
		[]string{generation, bucket(p.ID), mark, entry, strconv.FormatInt(ttl.Milliseconds(), 10)},
	).Error()
	if err != nil {
		return fmt.Errorf("cache product %s: %w", p.ID, err)
	}
	return nil
}
