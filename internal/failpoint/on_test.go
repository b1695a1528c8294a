//go:build failpoint

package failpoint

import "testing"

func TestParse(t *testing.T) {
	for value, want := range map[string]*trigger{
		"":                         {},
		"writer.committed:3":       {point: WriterCommitted, count: 3},
		"reader.applied:1:hang":    {point: ReaderApplied, count: 1, hang: true},
		"reader.rebuilding:7":      {point: ReaderRebuilding, count: 7},
		"writer.committed":         nil,
		"writer.committed:0":       nil,
		"writer.committed:x":       nil,
		"writer.committed:1:sleep": nil,
		"writer.nowhere:1":         nil,
	} {
		got, err := parse(value)
		if (err != nil) != (want == nil) {
			t.Errorf("parse(%q) = %v, want error: %v", value, err, want == nil)
			continue
		}
		if want != nil && (got.point != want.point || got.count != want.count || got.hang != want.hang) {
			t.Errorf("parse(%q) = %s:%d, hang %v; want %s:%d, hang %v", value, got.point, got.count, got.hang, want.point, want.count, want.hang)
		}
	}
}
