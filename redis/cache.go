package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"catalog"
	"catalog/wire"
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
	// A Redis that was started again may have guards of before, until their term
	// is over. Who is connected for longer than that asks a Redis that runs for
	// longer than that.
	generation, err := guard[0].ToString()
	if err != nil || time.Since(time.Unix(0, c.dialed.Load())) < term {
		return p, false, "", nil // nobody guards the shard, or not for certain
	}
	entry, err := replies[0].ToString()
	switch {
	case err != nil && !rueidis.IsRedisNil(err):
		return p, false, "", fmt.Errorf("cached product %s: %w", id, err)
	case err == nil && strings.HasPrefix(entry, generation):
		if entry = entry[len(generation):]; entry == "" {
			return catalog.Product{ID: id}, true, "", nil
		}
		if p, err = wire.DecodeProduct([]byte(entry)); err != nil {
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
