// Command bench measures the catalogue from outside, beside other programs that do
// the same work in turn, and prints each figure beside its goal. It builds the
// programs, runs them on a temporary folder and on the engines that the environment
// names, and takes ten minutes. docs/performance.md explains the figures.
//
//	go run ./test/bench [-only PARTS] [-size SHARE] [-rounds N] [-out FILE]
//	go run ./test/bench -compare A.json B.json
//	go run ./test/bench -picture A.json >docs/posts.svg
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	b := bench{results: newResults()}
	flag.IntVar(&b.rounds, "rounds", 3, "`number` of rounds; programs that are compared take turns in each")
	flag.Float64Var(&b.size, "size", 1, "`share` of the usual amount of work, to try the program")
	flag.IntVar(&b.large, "products", 100_000, "`number` of products of the large catalogue")
	flag.StringVar(&b.furniture, "furniture", os.Getenv("CATALOG_TEST_FURNITURE"), "`file` with furniture to import; default examples/furniture.csv")
	only := flag.String("only", "", "measure only these `parts`, comma separated: "+strings.Join(names(), ", ")+"; by default all but those that take long: "+strings.Join(longParts(), ", "))
	flag.StringVar(&b.kinds, "kinds", "", "of the part shares, measure only these `kinds` of requests, comma separated")
	flag.StringVar(&b.programs, "programs", "", "`folder` with the programs to measure; built from this module by default")
	out := flag.String("out", "", "`file` for the results; by default test/bench/results/DATE.json after a run of all parts at the usual size")
	comparison := flag.Bool("compare", false, "print what changed between the results in the two files that are named by the arguments")
	drawn := flag.String("picture", "", "print an SVG of rate and latency by clients from this `file` with results")
	peer := flag.String("peer", "", "only serve this `peer`: bare, postgres or sqlite")
	address := flag.String("address", "", "`address` of the peer")
	database := flag.String("database", "", "`URL or file` of the peer")
	hammered := flag.String("hammer", "", "only send requests of this `kind` of the part shares to -address, until the standard input ends")
	reader := flag.String("reader", "", "gRPC `address` of the reader that -hammer uses")
	flag.Parse()
	var err error
	switch {
	case *peer != "":
		err = servePeer(*peer, *address, *database)
	case *hammered != "":
		err = hammer(*hammered, *address, *reader)
	case *drawn != "":
		err = picture(os.Stdout, *drawn)
	case *comparison && flag.NArg() == 2:
		err = compare(os.Stdout, flag.Arg(0), flag.Arg(1))
	case *comparison:
		err = errors.New("-compare needs two files with results")
	default:
		err = b.run(*only, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench measures and collects the figures.
type bench struct {
	rounds    int
	size      float64 // share of the usual amount of work
	large     int     // products of the large catalogue
	furniture string
	kinds     string // of requests of the part shares; "" for all
	programs  string // folder; "" until they are built
	dir       string // for all files, removed at the end
	part      string // that is measured
	results   *results
}

// parts lists the measurements in their order. Each has its own catalogue. Those that
// take long run only when they are named.
var parts = []struct {
	name    string
	measure func(*bench) error
	long    bool
}{
	{"posts", (*bench).postsOnEngines, false},
	{"embedded", (*bench).postsEmbedded, false},
	{"view", (*bench).view, false},
	{"reads", (*bench).reads, false},
	{"small", (*bench).small, false},
	{"questions", (*bench).questions, false},
	{"search", (*bench).search, false},
	{"partitions", (*bench).partitions, true},
	{"steps", (*bench).steps, true},
	{"traces", (*bench).traces, true},
	{"shares", (*bench).shares, true},
}

func names() (all []string) {
	for _, p := range parts {
		all = append(all, p.name)
	}
	return all
}

func longParts() (all []string) {
	for _, p := range parts {
		if p.long {
			all = append(all, p.name)
		}
	}
	return all
}

// turn is how long a load lasts.
func (b *bench) turn() time.Duration { return b.scaled(2 * time.Second) }

// scaled returns d for the usual amount of work.
func (b *bench) scaled(d time.Duration) time.Duration { return time.Duration(float64(d) * b.size) }

// number returns n for the usual amount of work, and at least 10.
func (b *bench) number(n int) int { return max(10, int(float64(n)*b.size)) }

// program returns the path of a program of this module.
func (b *bench) program(name string) string { return filepath.Join(b.programs, name) }

func (b *bench) run(only, out string) (err error) {
	selected, err := selectParts(only)
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "catalog-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.large = b.number(b.large)
	if b.programs == "" {
		b.programs = b.dir
		if output, err := exec.Command("go", "build", "-o", b.dir, "catalog/cmd/...").CombinedOutput(); err != nil {
			return fmt.Errorf("build: %w\n%s", err, output)
		}
	}
	var speeds []float64
	for _, p := range parts {
		if !slices.Contains(selected, p.name) {
			continue
		}
		speed, err := codingSpeed()
		if err != nil {
			return err
		}
		speeds = append(speeds, speed)
		b.part = p.name
		since := time.Now()
		switch err := p.measure(b); {
		case errors.Is(err, errNoEngines):
			fmt.Fprintf(os.Stderr, "%s: not measured: %v\n", p.name, err)
		case err != nil:
			return fmt.Errorf("%s: %w", p.name, err)
		default:
			fmt.Fprintf(os.Stderr, "%s took %v\n", p.name, time.Since(since).Round(time.Second))
		}
	}
	r := b.results
	r.Coding, r.Rounds, r.Size, r.Index = median(speeds), b.rounds, b.size, b.large
	r.table(os.Stdout)
	if out == "" && (only != "" || b.size != 1) {
		return nil
	}
	name, err := r.save(out)
	if err == nil {
		fmt.Fprintln(os.Stderr, "results are in", name)
	}
	return err
}

// selectParts returns the names of the parts to measure.
func selectParts(only string) (selected []string, err error) {
	if only == "" {
		for _, p := range parts {
			if !p.long {
				selected = append(selected, p.name)
			}
		}
		return selected, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		if !slices.Contains(names(), name) {
			return nil, fmt.Errorf("there is no part %q; the parts are %s", name, strings.Join(names(), ", "))
		}
		selected = append(selected, name)
	}
	return selected, nil
}
