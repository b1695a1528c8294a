// Drawtrace draws a trace as SVG, from the JSON of Jaeger's API on standard input:
//
//	curl -s http://127.0.0.1:16686/api/traces/$ID | go run -C tools ./drawtrace >trace.svg
//
// Each span is a bar on the time axis, below its parent, in the color of its service.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("drawtrace: ")
	spans, err := read(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	if err := draw(os.Stdout, spans); err != nil {
		log.Fatal(err)
	}
}

// span is a span with its place in the tree.
type span struct {
	id, parent     string
	service, name  string
	start, end     time.Duration // since the start of the trace
	failed         bool
	depth          int
	children       []*span
	consumer       string
	startTimestamp int64
}

// read decodes the response of Jaeger and returns the spans in the order of the
// tree: parents before children, children by start.
func read(r io.Reader) ([]*span, error) {
	var response struct {
		Data []struct {
			Spans []struct {
				SpanID, ProcessID, OperationName string
				References                       []struct{ RefType, SpanID string }
				StartTime, Duration              int64 // microseconds
				Tags                             []struct {
					Key   string
					Value any
				}
			}
			Processes map[string]struct{ ServiceName string }
		}
	}
	if err := json.NewDecoder(r).Decode(&response); err != nil {
		return nil, fmt.Errorf("read the trace: %w", err)
	}
	if len(response.Data) != 1 || len(response.Data[0].Spans) == 0 {
		return nil, fmt.Errorf("the input has %d traces, want one", len(response.Data))
	}
	byID := map[string]*span{}
	var all []*span
	for _, s := range response.Data[0].Spans {
		next := &span{id: s.SpanID, service: response.Data[0].Processes[s.ProcessID].ServiceName, name: s.OperationName, startTimestamp: s.StartTime}
		next.end = time.Duration(s.Duration) * time.Microsecond
		for _, ref := range s.References {
			if ref.RefType == "CHILD_OF" {
				next.parent = ref.SpanID
			}
		}
		for _, t := range s.Tags {
			switch t.Key {
			case "error":
				next.failed = true
			case "messaging.consumer.group.name":
				next.consumer = fmt.Sprint(t.Value)
			}
		}
		byID[next.id] = next
		all = append(all, next)
	}
	first := slices.MinFunc(all, func(a, b *span) int { return cmp.Compare(a.startTimestamp, b.startTimestamp) }).startTimestamp
	var roots []*span
	for _, s := range all {
		s.start = time.Duration(s.startTimestamp-first) * time.Microsecond
		s.end += s.start
		if p := byID[s.parent]; p != nil {
			p.children = append(p.children, s)
		} else {
			roots = append(roots, s)
		}
	}
	var ordered []*span
	var visit func(list []*span, depth int)
	visit = func(list []*span, depth int) {
		slices.SortFunc(list, func(a, b *span) int { return cmp.Compare(a.start, b.start) })
		for _, s := range list {
			s.depth = depth
			ordered = append(ordered, s)
			visit(s.children, depth+1)
		}
	}
	visit(roots, 0)
	return ordered, nil
}

const (
	width, labels, right = 1080, 370, 90 // widths of the picture, of the column of names, and of the durations at the right
	row, top             = 20, 46
	indent               = 14
)

var colors = []string{"#2f6fab", "#b3541e", "#3b7d4f", "#7a4f9a", "#8a6d1c"}

// draw writes the spans as SVG.
func draw(w io.Writer, spans []*span) error {
	total := slices.MaxFunc(spans, func(a, b *span) int { return cmp.Compare(a.end, b.end) }).end
	total = max(total, time.Microsecond)
	x := func(t time.Duration) float64 { return labels + float64(t)/float64(total)*(width-labels-right) }
	height := top + row*len(spans) + 12
	var services []string
	for _, s := range spans {
		if !slices.Contains(services, s.service) {
			services = append(services, s.service)
		}
	}
	color := func(service string) string { return colors[slices.Index(services, service)%len(colors)] }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	at := 10
	for _, s := range services {
		fmt.Fprintf(&b, `<rect x="%d" y="10" width="10" height="10" fill="%s"/><text x="%d" y="19">%s</text>`+"\n", at, color(s), at+15, html.EscapeString(s))
		at += 30 + 8*len(s)
	}
	for i := range 5 {
		t := total * time.Duration(i) / 4
		fmt.Fprintf(&b, `<line x1="%.1f" y1="34" x2="%.1f" y2="%d" stroke="#ddd"/><text x="%.1f" y="30" fill="#666" text-anchor="middle">%s</text>`+"\n",
			x(t), x(t), height-8, x(t), short(t))
	}
	for i, s := range spans {
		y := top + row*i
		name := s.name
		if s.consumer != "" && s.consumer != s.service {
			name += " (" + s.consumer + ")"
		}
		fill := color(s.service)
		if s.failed {
			fill = "#c62828"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`, 10+indent*s.depth, y+10, html.EscapeString(name))
		fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="12" rx="2" fill="%s"/>`, x(s.start), y, max(x(s.end)-x(s.start), 1.5), fill)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" fill="#444">%s</text>`+"\n", max(x(s.end), x(s.start)+1.5)+4, y+10, short(s.end-s.start))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// short returns d with three digits.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
