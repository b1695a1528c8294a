package logging

import (
	"bytes"
	"context"
	"encoding"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
	"unicode"
)

// Colours of a terminal.
const (
	reset  = "\x1b[0m"
	faint  = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
)

// textHandler writes a record as one line for people:
//
//	15:04:05.000 WARN  fetch failed  service=writer topic=catalog.commands err="connection refused"
type textHandler struct {
	w      io.Writer
	mu     *sync.Mutex // held while a line is written
	level  slog.Level
	colour bool
	attrs  []byte // attributes of With, as they are written
	prefix string // prefix of the groups, such as "settings."
}

func newTextHandler(w io.Writer, level slog.Level, colour bool) *textHandler {
	return &textHandler{w: w, mu: &sync.Mutex{}, level: level, colour: colour}
}

func (h *textHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	var b bytes.Buffer
	b.WriteString(h.paint(faint, r.Time.Format("15:04:05.000")))
	b.WriteByte(' ')
	b.WriteString(h.paint(levelColour(r.Level), fmt.Sprintf("%-5s", r.Level)))
	b.WriteByte(' ')
	b.WriteString(r.Message)
	if len(h.attrs) > 0 || r.NumAttrs() > 0 {
		b.WriteByte(' ')
	}
	b.Write(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		h.appendAttr(&b, h.prefix, a)
		return true
	})
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(b.Bytes())
	return err
}

func levelColour(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return red
	case l >= slog.LevelWarn:
		return yellow
	case l >= slog.LevelInfo:
		return green
	}
	return faint
}

func (h *textHandler) paint(colour, s string) string {
	if !h.colour {
		return s
	}
	return colour + s + reset
}

func (h *textHandler) appendAttr(b *bytes.Buffer, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			h.appendAttr(b, prefix, member)
		}
		return
	}
	if a.Equal(slog.Attr{}) {
		return
	}
	b.WriteByte(' ')
	b.WriteString(h.paint(faint, prefix+a.Key+"="))
	b.WriteString(quote(valueText(v)))
}

func valueText(v slog.Value) string {
	switch v.Kind() {
	case slog.KindDuration:
		return durationText(v.Duration())
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case slog.KindAny:
		if m, ok := v.Any().(encoding.TextMarshaler); ok {
			if text, err := m.MarshalText(); err == nil {
				return string(text)
			}
		}
	}
	return v.String()
}

// quote quotes a value that is empty or has spaces, quotes or control characters, so
// that a line stays a line and a value cannot look like another attribute.
func quote(s string) string {
	if s == "" {
		return `""`
	}
	for _, r := range s {
		if r == '"' || r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b bytes.Buffer
	b.Write(h.attrs)
	for _, a := range attrs {
		h.appendAttr(&b, h.prefix, a)
	}
	with := *h
	with.attrs = b.Bytes()
	return &with
}

func (h *textHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.prefix += name + "."
	return &with
}
