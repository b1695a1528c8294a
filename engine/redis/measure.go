package redis

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/rueidis"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"catalog/internal/telemetry"
)

// measuredClient measures the commands of a client. Commands of one DoMulti are one
// call: they share a round trip.
type measuredClient struct {
	rueidis.Client
	db *telemetry.DB
}

func measure(c rueidis.Client, address string) rueidis.Client {
	return measuredClient{c, telemetry.NewDB("redis", address)}
}

// Do sends a command. Scripts are sent by it, too.
func (m measuredClient) Do(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	ctx, call := m.db.Start(ctx, command.Commands()[0], "") // before Do, which recycles the command
	r := m.Client.Do(ctx, command)
	call.End(errorType(r.Error()))
	return r
}

// DoMulti sends commands together.
func (m measuredClient) DoMulti(ctx context.Context, commands ...rueidis.Completed) []rueidis.RedisResult {
	ctx, call := m.db.Start(ctx, "PIPELINE", "", semconv.DBOperationBatchSize(len(commands)))
	results := m.Client.DoMulti(ctx, commands...)
	failed := ""
	for _, r := range results {
		if failed = errorType(r.Error()); failed != "" {
			break
		}
	}
	call.End(failed)
	return results
}

// errorType returns the type of an error for metrics and traces: for an error reply
// its first word, such as NOSCRIPT.
func errorType(err error) string {
	if rueidis.IsRedisNil(err) {
		return ""
	}
	if reply, ok := rueidis.IsRedisErr(err); ok {
		word, _, _ := strings.Cut(reply.Error(), " ")
		return word
	}
	if errors.Is(err, rueidis.ErrClosing) {
		return "closed"
	}
	return telemetry.ErrorType(err)
}
