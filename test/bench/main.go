// Command bench measures `catalog up` from outside and prints each figure beside
// its limit. It builds the program, runs it on a temporary folder and takes a few
// minutes.
//
//	go run ./test/bench [-only PART] [-demo N] [-furniture FILE]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	var b bench
	flag.IntVar(&b.large, "demo", 100_000, "`number` of products of the large catalogue")
	flag.StringVar(&b.furniture, "furniture", os.Getenv("CATALOG_TEST_FURNITURE"), "`file` with furniture to import; default examples/furniture.csv")
	only := flag.String("only", "", "measure only this `part`: "+strings.Join(names(), ", "))
	address := flag.String("bare", "", "only serve the bytes of the standard input at this `address`")
	flag.Parse()
	err := error(nil)
	if *address != "" {
		err = serveBare(*address, os.Stdin)
	} else {
		err = b.run(*only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench measures and collects the figures.
type bench struct {
	large     int
	furniture string
	dir       string // for all files, removed at the end
	program   string
	figures   []figure
	speeds    []float64 // of the machine, measured before each part
}

// figure is a row of the table.
type figure struct {
	name      string
	value     float64
	limit     float64
	unit      string
	isMinimum bool // the limit is a minimum, not a maximum
}

func (f figure) ok() bool { return f.isMinimum == (f.value >= f.limit) || f.value == f.limit }

func (b *bench) atMost(name string, value, limit float64, unit string) {
	b.add(figure{name, value, limit, unit, false})
}

func (b *bench) atLeast(name string, value, limit float64, unit string) {
	b.add(figure{name, value, limit, unit, true})
}

func (b *bench) add(f figure) {
	b.figures = append(b.figures, f)
	fmt.Fprintf(os.Stderr, "%s: %.4g %s\n", f.name, f.value, f.unit)
}

// parts lists the measurements in their order. Each has its own catalogue.
var parts = []struct {
	name    string
	measure func(*bench) error
}{
	{"reads", (*bench).reads}, {"writes", (*bench).writes}, {"small", (*bench).small}, {"index", (*bench).index}, {"search", (*bench).search}, {"commands", (*bench).commands}, {"traces", (*bench).traces}, {"shares", (*bench).shares},
}

func names() (all []string) {
	for _, p := range parts {
		all = append(all, p.name)
	}
	return all
}

func (b *bench) run(only string) (err error) {
	if b.dir, err = os.MkdirTemp("", "catalog-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.program = filepath.Join(b.dir, "catalog")
	if out, err := exec.Command("go", "build", "-o", b.program, "catalog/cmd/catalog").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	for _, p := range parts {
		if only != "" && only != p.name {
			continue
		}
		speed, err := codingSpeed()
		if err != nil {
			return err
		}
		b.speeds = append(b.speeds, speed)
		if err := p.measure(b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	b.table()
	return nil
}

// table prints the figures in the form of docs/performance.md.
func (b *bench) table() {
	fmt.Println("| figure | measured | limit | ratio | |\n|---|---|---|---|---|")
	for _, f := range b.figures {
		sign, verdict := "≤", "kept"
		if f.isMinimum {
			sign = "≥"
		}
		if !f.ok() {
			verdict = "**missed**"
		}
		fmt.Println(strings.Join([]string{
			"| " + f.name, strings.TrimSpace(formatNumber(f.value) + " " + f.unit), sign + " " + formatNumber(f.limit), f.ratio(), verdict + " |",
		}, " | "))
	}
	fmt.Printf("\nThe machine encodes and decodes %s products/s.\n", formatNumber(median(b.speeds)))
}

// ratio returns value / limit, or "" without a limit.
func (f figure) ratio() string {
	if f.limit == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", f.value/f.limit)
}

// formatNumber returns v with three significant digits.
func formatNumber(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// ms returns the percentile of the durations in milliseconds. It sorts d.
func ms(d []time.Duration, percent int) float64 {
	slices.Sort(d)
	return d[min(len(d)-1, len(d)*percent/100)].Seconds() * 1000
}

func (b *bench) reads() error {
	hot, cold, err := measureReads(b.program, b.dir)
	if err != nil {
		return err
	}
	b.atLeast("GET of a hot product, share of a bare Echo server", hot, 0.8, "")
	b.atLeast("GET of a cold product from Redis, share of a bare Echo server", cold, 0.35, "")
	return nil
}

// writes measures writes, on real engines if the environment has them.
func (b *bench) writes() error {
	ctx := context.Background()
	on, flags := "embedded engines", []string(nil)
	e, err := realEngines(ctx)
	if err != nil {
		return err
	}
	if e != nil {
		defer func() { _ = e.drop(ctx) }()
		on, flags = "real engines", e.flags()
	}
	s, err := start(b.program, filepath.Join(b.dir, "writes"), flags...)
	if err != nil {
		return err
	}
	defer s.kill()
	settled, readable, findable, err := s.writes(200)
	if err != nil {
		return err
	}
	b.atMost("POST until settled, p50, "+on, ms(settled, 50), 10, "ms")
	b.atMost("POST until settled, p99", ms(settled, 99), 50, "ms")
	b.atMost("write settled until readable, p50, "+on, ms(readable, 50), 10, "ms")
	b.atMost("write settled until readable, p99", ms(readable, 99), 50, "ms")
	b.atMost("write settled until findable, p50", ms(findable, 50), 10, "ms")
	b.atMost("write settled until findable, p99", ms(findable, 99), 50, "ms")
	return nil
}

// small measures start, import and idle memory of a small catalogue.
func (b *bench) small() error {
	s, err := start(b.program, filepath.Join(b.dir, "small"))
	if err != nil {
		return err
	}
	defer func() { s.kill() }()
	b.atMost("start to ready, new", s.ready.Seconds()*1000, 1000, "ms")
	if b.furniture == "" {
		b.furniture = filepath.Join("examples", "furniture.csv")
	}
	since := time.Now()
	out, err := exec.Command(b.program, "import", "-server", s.url, "-delimiter", ";", "-decimal", ",", "-currency", "SAR", "-map",
		"sku=item_id,name=name,category=category,price=price,description=short_description,attributes.designer=designer,attributes.width=width,attributes.height=height,attributes.depth=depth",
		b.furniture).CombinedOutput()
	if err != nil {
		return fmt.Errorf("import: %w\n%s", err, out)
	}
	b.atMost("import of "+filepath.Base(b.furniture)+" ("+strings.SplitN(string(out), ":", 2)[0]+")", time.Since(since).Seconds(), 5, "s")
	if err := s.stop(); err != nil {
		return err
	}
	if s, err = start(b.program, s.data); err != nil {
		return err
	}
	b.atMost("start to ready, with data", s.ready.Seconds()*1000, 1000, "ms")
	time.Sleep(3 * time.Second) // the process becomes idle
	rss, err := s.memory()
	if err != nil {
		return err
	}
	b.atMost("idle memory", rss, 100, "MiB")
	return s.stop()
}

// index measures the search index alone.
func (b *bench) index() error {
	const rounds = 3
	var all []float64
	for i := range rounds {
		rate, err := indexing(filepath.Join(b.dir, fmt.Sprint("index", i)))
		if err != nil {
			return err
		}
		all = append(all, rate)
	}
	b.atLeast("index alone", median(all), 5000, "products/s")
	return nil
}

// search measures filling, searches and a rebuild, in a catalogue of b.large
// products and partly in one of a tenth.
func (b *bench) search() error {
	var p99 [2]float64
	for i, n := range []int{b.large / 10, b.large} {
		s, err := start(b.program, filepath.Join(b.dir, fmt.Sprint("search", n)), "-demo", strconv.Itoa(n))
		if err != nil {
			return err
		}
		defer s.kill()
		rate, searchable, err := s.demo(n)
		if err != nil {
			return err
		}
		if n == b.large {
			b.atLeast(fmt.Sprintf("-demo %d, settled", n), rate, 5000, "products/s")
			b.atLeast(fmt.Sprintf("-demo %d, searchable", n), searchable, 2000, "products/s")
		}
		loaded, err := s.searches(1000)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "search of %d products right after the load, p99: %.4g ms\n", n, ms(loaded, 99))
		if err := s.waitIdle(); err != nil {
			return err
		}
		searches, err := s.searches(4000)
		if err != nil {
			return err
		}
		p99[i] = ms(searches, 99)
		if n == b.large {
			b.atMost(fmt.Sprintf("search of %d products by %d clients, p50", n, searchers), ms(searches, 50), 20, "ms")
			hostile, err := s.hostile(500)
			if err != nil {
				return err
			}
			b.atMost(fmt.Sprintf("hostile searches of %d products, one at a time, p99", n), ms(hostile, 99), 50, "ms")
			rate, failed, err := s.rebuild(b.program, n)
			if err != nil {
				return err
			}
			b.atLeast(fmt.Sprintf("rebuild of %d products, with %d searches/s", n, searchRate), rate, 10_000, "products/s")
			b.atMost("searches that failed during the rebuild", float64(failed), 0, "")
		}
		if err := s.stop(); err != nil {
			return err
		}
	}
	b.atMost(fmt.Sprintf("search of %d products by %d clients, p99", b.large, searchers), p99[1], 20, "ms")
	b.atMost(fmt.Sprintf("search p99 of %d products, relative to %d", b.large, b.large/10), p99[1]/p99[0], 2, "")
	return nil
}

// commands measures commands from log to log, on real engines only.
func (b *bench) commands() error {
	ctx := context.Background()
	e, err := realEngines(ctx)
	if err != nil {
		return err
	}
	if e == nil {
		fmt.Fprintln(os.Stderr, "commands not measured: no real engines in the environment; run make engines-up")
		return nil
	}
	defer func() { err = errors.Join(err, e.drop(ctx)) }()
	through, alone, err := measureCommands(ctx, e.kafka, e.postgres)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "commands/s: %.0f through Kafka and the writer, %.0f by PostgreSQL alone\n", through, alone)
	b.atLeast("commands/s from log to log, share of what PostgreSQL alone takes", through/alone, 0.5, "")
	return nil
}
