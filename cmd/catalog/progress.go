package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Intervals between two updates of the progress.
const (
	lineInterval = 2 * time.Second        // short enough for a person, long enough for a log file
	barInterval  = 100 * time.Millisecond // a moving bar, without much output
)

// progress shows the progress of a long job: a bar on a terminal, and a line every
// two seconds elsewhere. A total of 0 means that the total is unknown.
type progress struct {
	out   io.Writer
	name  string
	total int
	bar   *progressbar.ProgressBar // nil unless out is a terminal
	since time.Time

	mu      sync.Mutex
	count   int
	printed time.Time // time of the last line
}

func newProgress(out io.Writer, name string, total int) *progress {
	p := &progress{out: out, name: name, total: total, since: time.Now(), printed: time.Now()}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if total == 0 {
			total = -1 // draw a spinner
		}
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(name),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("products"),
			progressbar.OptionThrottle(barInterval), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	}
	return p
}

func (p *progress) add(n int) {
	if p.bar != nil {
		_ = p.bar.Add(n) // a bar that cannot be drawn must not stop the job
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count += n
	if time.Since(p.printed) >= lineInterval {
		p.printed = time.Now()
		rate := float64(p.count) / time.Since(p.since).Seconds()
		of, left := "", ""
		if p.total > 0 {
			of = fmt.Sprintf(" of %d", p.total)
			left = fmt.Sprintf(", %s left", time.Duration(float64(p.total-p.count)/rate*float64(time.Second)).Round(time.Second))
		}
		fmt.Fprintf(p.out, "%s: %d%s, %.0f/s%s\n", p.name, p.count, of, rate, left)
	}
}

func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

// count returns a number with its noun: "1 row", "2 rows".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func serverFlag(fs *flag.FlagSet, to *string) {
	fs.StringVar(to, "server", "http://127.0.0.1:8080", "`URL` of the catalogue")
}
