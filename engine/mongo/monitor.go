package mongo

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"catalog/internal/telemetry"
)

// monitor measures the commands that the driver sends. The driver reports the start
// and the end of a command separately, with a request id that is unique in the
// process.
type monitor struct {
	db    *telemetry.DB
	calls sync.Map // *telemetry.DBCall by request id
}

func newMonitor() *event.CommandMonitor {
	m := &monitor{db: telemetry.NewDB("mongodb", "")}
	return &event.CommandMonitor{
		Started:   m.started,
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) { m.finished(e.RequestID, nil) },
		Failed:    func(_ context.Context, e *event.CommandFailedEvent) { m.finished(e.RequestID, e.Failure) },
	}
}

func (m *monitor) started(ctx context.Context, e *event.CommandStartedEvent) {
	collection := ""
	attrs := telemetry.Server("")
	if trace.SpanFromContext(ctx).IsRecording() {
		// The value of most commands is the collection; the value of getMore is a cursor.
		for _, key := range []string{e.CommandName, "collection"} {
			if name, ok := e.Command.Lookup(key).StringValueOK(); ok {
				collection = name
			}
		}
		address, _, _ := strings.Cut(e.ConnectionID, "[") // host:port[-number]
		attrs = append(telemetry.Server(address), semconv.DBNamespace(e.DatabaseName))
	}
	_, call := m.db.Start(ctx, e.CommandName, collection, attrs...)
	m.calls.Store(e.RequestID, call)
}

func (m *monitor) finished(request int64, err error) {
	if call, ok := m.calls.LoadAndDelete(request); ok {
		call.(*telemetry.DBCall).End(errorType(err))
	}
}

// errorType returns the type of an error for metrics and traces: for an error of
// the server its code.
func errorType(err error) string {
	var e driver.Error
	switch {
	case !errors.As(err, &e):
		return telemetry.ErrorType(err)
	case e.HasErrorLabel(driver.NetworkError):
		return "network"
	}
	return strconv.Itoa(int(e.Code))
}
