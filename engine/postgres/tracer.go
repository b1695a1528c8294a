package postgres

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"catalog/internal/telemetry"
)

// tracer measures statements and batches. It implements the tracer interfaces of
// pgx for them. A batch is one call with one span, whatever its number of
// statements: they share a round trip.
type tracer struct{ db *telemetry.DB }

func newTracer(c *pgx.ConnConfig) tracer {
	return tracer{telemetry.NewDB("postgresql", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), semconv.DBNamespace(c.Database))}
}

type callKey struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (t tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	ctx, call := t.db.Start(ctx, keyword(data.SQL), table(data.SQL))
	return context.WithValue(ctx, callKey{}, call)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	end(ctx, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (t tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	ctx, call := t.db.Start(ctx, batchOperation(data.Batch), "", semconv.DBOperationBatchSize(data.Batch.Len()))
	return context.WithValue(ctx, callKey{}, call)
}

// TraceBatchQuery implements pgx.BatchTracer.
func (tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (tracer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	end(ctx, data.Err)
}

// end ends the call in ctx. The error of the server is its SQLSTATE; its text can
// contain data.
func end(ctx context.Context, err error) {
	call, ok := ctx.Value(callKey{}).(*telemetry.DBCall)
	if !ok {
		return
	}
	var fromServer *pgconn.PgError
	if errors.As(err, &fromServer) {
		call.End(fromServer.Code)
		return
	}
	call.End(telemetry.ErrorType(err))
}

// batchOperation returns the operation of a batch by OpenTelemetry's conventions:
// BATCH SELECT if all its statements but begin and commit are SELECT, else BATCH.
func batchOperation(b *pgx.Batch) string {
	common := ""
	for _, q := range b.QueuedQueries {
		switch k := keyword(q.SQL); {
		case k == "BEGIN", k == "COMMIT", k == common:
		case common == "":
			common = k
		default:
			return "BATCH"
		}
	}
	return strings.TrimSpace("BATCH " + common)
}

// keyword returns the first word of a statement in upper case.
func keyword(sql string) string {
	word, _ := cutWord(sql)
	return strings.ToUpper(word)
}

// table returns the table that a statement reads or writes, or "".
func table(sql string) string {
	for word, rest := cutWord(sql); word != ""; word, rest = cutWord(rest) {
		switch strings.ToUpper(word) {
		case "FROM", "INTO", "UPDATE":
			name, _ := cutWord(rest)
			name, _, _ = strings.Cut(name, "(")
			return strings.Trim(name, `(),;"`)
		}
	}
	return ""
}

func cutWord(s string) (word, rest string) {
	s = strings.TrimLeft(s, " \t\n")
	i := strings.IndexAny(s, " \t\n")
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}
