package telemetry

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

type failingExporter struct{ sdktrace.SpanExporter }

func (failingExporter) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	return errors.New("no collector")
}

func TestTraces_dropped(t *testing.T) {
	before := testutil.ToFloat64(spansDropped)
	if err := (countingExporter{failingExporter{}}).ExportSpans(t.Context(), make([]sdktrace.ReadOnlySpan, 3)); err == nil {
		t.Error("ExportSpans = nil; want the error of the exporter")
	}
	if n := testutil.ToFloat64(spansDropped) - before; n != 3 {
		t.Errorf("catalog_trace_spans_dropped_total grew by %v; want 3", n)
	}
}
