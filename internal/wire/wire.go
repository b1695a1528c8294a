// Package wire converts between bytes and catalog types, and is the only place
// that does: protobuf for Kafka, gRPC, the journal, the cache and the index, and
// JSON for HTTP. XToProto and XFromProto convert protobuf messages, XToJSON and
// XFromJSON the types of package api; EncodeX and DecodeX also marshal.
//
// A decoder returns an error for input that it cannot read, and never a partly
// filled value. It does not check the rules of products:
// [catalog.ProductData.Validate] does.
package wire

import (
	"strings"
	"time"
)

// MaxRecord is the size in bytes that a record of a command or an event, with its
// headers, never exceeds. The largest valid command and the largest event have about
// 870,000; a broker accepts batches of 1,048,588 by default, and the client sends
// batches of at most 1,000,012. A test makes the largest there can be.
const MaxRecord = 950_000

// TruncateTime returns t in UTC and in microseconds, the precision of
// PostgreSQL. Every stored time has this form.
func TruncateTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// TraceID returns the trace id in a W3C traceparent, or "".
func TraceID(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) != 4 {
		return ""
	}
	return parts[1]
}
