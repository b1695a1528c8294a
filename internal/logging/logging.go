// Package logging makes the log of a process: text for a terminal, JSON otherwise, with
// durations in one form and repeated messages sampled. It uses the standard library
// alone.
package logging

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

// AccessMessage is the message of the line that -log.access writes for each request. It
// is the only message that is never sampled.
const AccessMessage = "request"

// Format is the form of the lines.
type Format string

// The formats. Auto is Text on a terminal and JSON otherwise.
const (
	Auto Format = "auto"
	Text Format = "text"
	JSON Format = "json"
)

// UnmarshalText sets f to a known format.
func (f *Format) UnmarshalText(text []byte) error {
	switch v := Format(text); v {
	case Auto, Text, JSON:
		*f = v
		return nil
	}
	return fmt.Errorf("%q is not auto, text or json", text)
}

// MarshalText returns the name of the format.
func (f Format) MarshalText() ([]byte, error) { return []byte(f), nil }

// Config holds the settings of the log.
type Config struct {
	// Level is the lowest level that is logged. Zero means info.
	Level slog.Level

	// Format is the form of the lines. The zero value and Auto mean text on a
	// terminal and JSON otherwise.
	Format Format
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.TextVar(&c.Level, "log.level", slog.LevelInfo, "lowest `level` that is logged: debug, info, warn or error")
	fs.TextVar(&c.Format, "log.format", Auto, "`format` of the log: text, json, or auto for text on a terminal and JSON otherwise")
}

// NewHandler returns a handler that writes to w, with the name of the service in each
// line. Text has colours on a terminal only,
// and none if $NO_COLOR is set.
func NewHandler(w io.Writer, service string, c Config) slog.Handler {
	terminal := isTerminal(w)
	var h slog.Handler
	if c.Format == Text || c.Format != JSON && terminal {
		h = newTextHandler(w, c.Level, terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
	} else {
		h = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.Level, ReplaceAttr: formatDuration})
	}
	return newSampler(h.WithAttrs([]slog.Attr{slog.String("service", service)}))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// formatDuration turns a duration into text with its unit, such as 12.3ms. The JSON
// handler of the standard library would write nanoseconds without a unit.
func formatDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(durationText(a.Value.Duration()))
	}
	return a
}

// durationText rounds d to three digits: 12.3ms, 1.23s, 1m4.6s.
func durationText(d time.Duration) string {
	unit := time.Nanosecond
	for limit := 1000 * time.Nanosecond; limit <= d.Abs() && unit < time.Second; limit *= 10 {
		unit *= 10
	}
	return d.Round(unit).String()
}
