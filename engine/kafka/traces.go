package kafka

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog/eventlog"
	"catalog/internal/telemetry"
)

// traceparentHeader is the name of the header with the W3C trace context of the
// span that sent the record.
const traceparentHeader = "traceparent"

// setTrace makes the span of the call the sender of the record if it belongs to one
// of its traces.
func setTrace(r *kgo.Record, call *telemetry.Send) {
	if !call.Traced() {
		return
	}
	for i, h := range r.Headers {
		if h.Key == traceparentHeader {
			if t := call.Traceparent(string(h.Value)); t != string(h.Value) {
				r.Headers[i].Value = []byte(t)
			}
		}
	}
}

// traceCollector lists the sampled traces of records. Records of one trace are
// one entry: an import sends thousands of commands in one trace.
type traceCollector struct {
	list []eventlog.Trace
	byID map[string]int // index in list, by trace id
}

// add adds the trace of r, the item with that index, if it is sampled.
func (c *traceCollector) add(r *kgo.Record, item int) {
	const (
		length           = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		idStart, idEnd   = 3, 35
		flags, sampleBit = length - 1, 1
	)
	for _, h := range r.Headers {
		if h.Key != traceparentHeader {
			continue
		}
		if len(h.Value) != length || hexDigit(h.Value[flags])&sampleBit == 0 {
			return
		}
		if c.byID == nil {
			c.byID = map[string]int{}
		}
		id := string(h.Value[idStart:idEnd])
		if i, ok := c.byID[id]; ok {
			c.list[i].Records++
			return
		}
		c.byID[id] = len(c.list)
		c.list = append(c.list, eventlog.Trace{Traceparent: string(h.Value), SentAt: r.Timestamp, Item: item, Records: 1})
		return
	}
}

// hexDigit returns the value of a lower-case hexadecimal digit, or 0.
func hexDigit(b byte) byte {
	switch {
	case '0' <= b && b <= '9':
		return b - '0'
	case 'a' <= b && b <= 'f':
		return b - 'a' + 10
	}
	return 0
}
