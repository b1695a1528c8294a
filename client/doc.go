// Package client is the Go client of the HTTP API of a catalogue.
//
// Reads see the client's own writes: the client remembers the position of its
// last write in each shard and sends it with every read. Calls are repeated, for
// up to RetryTimeout, when the server does not respond or asks for a retry. Every
// write has an Idempotency-Key of its own, so a write whose response was lost has
// one effect, however often it is repeated.
//
// Errors of the server are of type *Problem and match the sentinels of package
// catalog: errors.Is(err, catalog.ErrNotFound). docs/errors.md lists the codes.
package client
