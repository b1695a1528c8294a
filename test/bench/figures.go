package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// figure is a measured quantity.
type figure struct {
	Part   string    `json:"part"`
	Name   string    `json:"name"`
	Unit   string    `json:"unit,omitempty"` // "" for a ratio
	Values []float64 `json:"values"`         // one for each round
	Goal   *float64  `json:"goal,omitempty"` // nil for a figure that only explains others
	Higher bool      `json:"higher"`         // whether a higher value is better
}

func (f figure) median() float64 { return median(slices.Clone(f.Values)) }

// spread returns the difference between the highest and the lowest round.
func (f figure) spread() float64 { return slices.Max(f.Values) - slices.Min(f.Values) }

// reached reports whether the median reaches the goal.
func (f figure) reached() bool {
	m := f.median()
	return m == *f.Goal || f.Higher == (m > *f.Goal)
}

// results are the figures of a run and what they depend on.
type results struct {
	Date    time.Time `json:"date"`
	Commit  string    `json:"commit"` // with "-dirty" when files differ from it
	Go      string    `json:"go"`
	CPUs    int       `json:"cpus"`
	Coding  float64   `json:"codingSpeed"` // products encoded and decoded a second: the speed of the machine
	Rounds  int       `json:"rounds"`
	Size    float64   `json:"size"`     // share of the usual amount of work
	Index   int       `json:"products"` // in the index of the questions
	Figures []figure  `json:"figures"`
}

func newResults() *results {
	commit := "unknown"
	if out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	return &results{Date: time.Now().UTC().Truncate(time.Second), Commit: commit, Go: runtime.Version(), CPUs: runtime.GOMAXPROCS(0)}
}

// atMost, atLeast and note add the value of a round to a figure. A figure of atMost
// or atLeast has a goal.
func (b *bench) atMost(name string, value, goal float64, unit string) {
	b.add(figure{Name: name, Unit: unit, Goal: &goal}, value)
}

func (b *bench) atLeast(name string, value, goal float64, unit string) {
	b.add(figure{Name: name, Unit: unit, Goal: &goal, Higher: true}, value)
}

func (b *bench) note(name string, value float64, unit string) {
	b.add(figure{Name: name, Unit: unit, Higher: strings.HasSuffix(unit, "/s")}, value)
}

func (b *bench) add(f figure, value float64) {
	f.Part = b.part
	fmt.Fprintf(os.Stderr, "%s: %s\n", f.Name, withUnit(value, f.Unit))
	same := func(other figure) bool { return other.Part == f.Part && other.Name == f.Name }
	i := slices.IndexFunc(b.results.Figures, same)
	if i < 0 {
		i = len(b.results.Figures)
		b.results.Figures = append(b.results.Figures, f)
	}
	b.results.Figures[i].Values = append(b.results.Figures[i].Values, value)
}

// last returns the last value of a figure of this part.
func (b *bench) last(name string) float64 {
	for _, f := range b.results.Figures {
		if f.Part == b.part && f.Name == name {
			return f.Values[len(f.Values)-1]
		}
	}
	return 0
}

// table writes the figures in the form of docs/performance.md: those with a goal,
// then the others.
func (r *results) table(w io.Writer) {
	fmt.Fprintln(w, "| figure | median | rounds | goal | |\n|---|---|---|---|---|")
	for _, f := range r.Figures {
		if f.Goal == nil {
			continue
		}
		sign, verdict := "≤", "reached"
		if f.Higher {
			sign = "≥"
		}
		if !f.reached() {
			verdict = "**missed**"
		}
		row(w, f.Name, withUnit(f.median(), f.Unit), f.extent(), sign+" "+formatNumber(*f.Goal), verdict)
	}
	fmt.Fprintln(w, "\n| figure without a goal | median | rounds |\n|---|---|---|")
	for _, f := range r.Figures {
		if f.Goal == nil {
			row(w, f.Name, withUnit(f.median(), f.Unit), f.extent())
		}
	}
	fmt.Fprintf(w, "\nThe machine encodes and decodes %s products/s.\n", formatNumber(r.Coding))
}

func row(w io.Writer, cells ...string) { fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |") }

// extent returns the lowest and the highest round.
func (f figure) extent() string {
	if len(f.Values) == 1 {
		return "1"
	}
	return formatNumber(slices.Min(f.Values)) + "–" + formatNumber(slices.Max(f.Values))
}

// save writes the results to the file, or, when name is "", to a file of the day that
// does not exist yet.
func (r *results) save(name string) (string, error) {
	content, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", err
	}
	day := filepath.Join("test", "bench", "results", r.Date.Format(time.DateOnly))
	for n := 2; name == ""; n++ {
		if _, err := os.Stat(day + ".json"); err != nil {
			name = day + ".json"
			break
		}
		day = strings.TrimSuffix(day, fmt.Sprint("-", n-1)) + fmt.Sprint("-", n)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", err
	}
	return name, os.WriteFile(name, append(content, '\n'), 0o644)
}

func withUnit(v float64, unit string) string { return strings.TrimSpace(formatNumber(v) + " " + unit) }

// formatNumber returns v with three significant digits.
func formatNumber(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10 || v <= -10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// median returns the median. It sorts values.
func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// ms returns the percentile of the durations in milliseconds. It sorts d.
func ms(d []time.Duration, percent int) float64 {
	slices.Sort(d)
	return d[min(len(d)-1, len(d)*percent/100)].Seconds() * 1000
}
