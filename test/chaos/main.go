// Command chaos checks that no command is lost, doubled or reordered and no read is
// stale when any part of the system dies, freezes, is cut off or has no space left. It
// starts its own real engines (deploy/engines) and two of each service, sends commands,
// causes one fault after the other, and compares the responses to clients with the
// contents of every store. Run it in the folder of the repository.
//
//	go run ./test/chaos [-commands N] [-kills N] [-crashes N] [-network N] [-freezes N]
//	    [-pairs N] [-disks N] [-truncations N] [-only TEXT] [-seed N]
//	go run ./test/chaos -attacks [-only TEXT]
//	go run ./test/chaos -upgrade [-previous REVISION] [-next FOLDER]
//	go run ./test/chaos -check FILE
//
// With -attacks, it measures the memory of the services while clients send what costs
// them most, and checks that everything still works.
//
// With -upgrade, it kills nothing: it starts the previous version, migrates while that one
// serves, and replaces one process after the other by the next version and back, in every
// order. No request may fail.
//
// The exit code is 1 when a promise was broken, and 2 when the run is void because
// a fault did not happen as often as requested.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"catalog/internal/failpoint"
)

func main() {
	var o options
	flag.IntVar(&o.commands, "commands", 20_000, "minimum `number` of commands")
	flag.IntVar(&o.kills, "kills", 3, "how many `times` to kill each part")
	flag.IntVar(&o.crashes, "crashes", 0, "how many `times` a service dies at each failpoint")
	flag.IntVar(&o.network, "network", 0, "how many `times` each fault of the network happens, each time between another two processes")
	flag.IntVar(&o.freezes, "freezes", 0, "how many `times` a service or an engine is stopped for seconds")
	flag.IntVar(&o.pairs, "pairs", 0, "how many `times` two of these faults happen at once")
	flag.IntVar(&o.disks, "disks", 0, "how many `times` the disks of PostgreSQL and Kafka are full")
	flag.IntVar(&o.truncations, "truncations", 0, "how many `times` Kafka loses the last records of a topic")
	flag.StringVar(&o.only, "only", "", "run only faults or attacks whose names contain one of these `texts`, separated by commas")
	flag.IntVar(&o.rate, "rate", 250, "commands a `second`")
	flag.IntVar(&o.products, "products", 400, "`number` of products")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of random commands and times")
	flag.StringVar(&o.file, "history", "chaos-history.jsonl", "`file` for all observations, written when a promise was broken")
	flag.BoolVar(&o.upgrade, "upgrade", false, "replace the processes of one version by those of another, instead of killing")
	flag.StringVar(&o.previous, "previous", "", "`revision` to upgrade from (default the last tag)")
	flag.StringVar(&o.next, "next", ".", "`folder` with the source of the version to upgrade to")
	flag.BoolVar(&o.attacks, "attacks", false, "measure memory under attacks of clients, instead of killing")
	check := flag.String("check", "", "only check this `file` of an earlier run again")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case *check != "":
		err = checkFile(*check)
	case o.disks > 0 && os.Getenv(namespaceVariable) == "":
		code, err := runInNamespace()
		if err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			code = 2
		}
		os.Exit(code)
	default:
		err = o.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	switch {
	case errors.Is(err, errBroken):
		os.Exit(1)
	case err != nil:
		os.Exit(2)
	}
}

var errBroken = errors.New("a promise was broken")

func checkFile(file string) error {
	commands, found, err := reload(file)
	if err != nil {
		return err
	}
	return report(os.Stdout, Check(commands, found))
}

type options struct {
	commands, rate, products                                    int
	kills, crashes, network, freezes, pairs, disks, truncations int
	seed                                                        uint64
	only, file                                                  string
	upgrade, attacks                                            bool
	previous, next                                              string
}

// fault is a disturbance that happens repeatedly in a round. Rows of the table
// have its name.
type fault struct {
	name  string
	times int
	begin func(ctx context.Context) error        // called before the first fire; may be nil
	fire  func(ctx context.Context, n int) error // causes the fault, waits until it has happened, and repairs it if the next one needs that
	end   func(ctx context.Context) error        // called after the last fire; may be nil
}

func (o options) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "catalog-chaos-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL may run as another user
		return err
	}
	programs := filepath.Join(dir, "bin")
	var flags []string
	if o.crashes > 0 {
		flags = []string{"-tags", "failpoint"}
	}
	if err := buildPrograms(ctx, o.next, programs, flags...); err != nil {
		return err
	}
	first := programs // programs of the processes at the start
	if o.upgrade {
		if o.previous == "" {
			if o.previous, err = lastTag(ctx); err != nil {
				return err
			}
		}
		if first, err = buildRevision(ctx, dir, o.previous); err != nil {
			return err
		}
	}
	session := 2 * time.Second
	if o.attacks || o.upgrade || o.kills == 0 && o.truncations > 0 { // these runs kill few engines and keep the machine busy
		session = 9 * time.Second
	}
	s, err := newSystem(ctx, dir, first, o.disks > 0, session)
	defer s.Stop()
	if err != nil {
		return err
	}
	if o.attacks {
		return errors.Join(runAttacks(ctx, os.Stdout, s, programs, o.only), keepLogs(dir, o.file))
	}
	l := newLoad(s.APIs, o.rate, o.products, o.seed)
	w, err := newObserver(l, s.Writers)
	if err != nil {
		return err
	}
	defer w.Close()
	w.truncated = &s.truncated
	fmt.Printf("seed %d\n", o.seed)
	t := &table{out: os.Stdout}
	faults, last := o.faults(s), truncations(s, programs, o.truncations)
	if o.upgrade {
		l.tally, faults = newTally(), upgrades(s, first, programs)
		reading, stop := context.WithCancel(ctx)
		defer stop()
		for i := range uint64(readers) {
			go l.readContinuously(reading, o.seed+i)
		}
	}
	others := func(f fault) bool { return !selected(f.name, o.only) }
	faults, last = slices.DeleteFunc(faults, others), slices.DeleteFunc(last, others)
	commands := o.commands / max(len(faults)+len(last), 1)
	found, err := rounds(ctx, t, l, w, commands, faults)
	if err == nil && len(faults) > 0 {
		if found.Topic, err = w.Topic(ctx, s.Brokers, ""); err == nil {
			breaches := Check(l.history.all(), found)
			t.total(l.history.all(), breaches)
			err = report(os.Stdout, breaches)
		}
	}
	if err == nil && len(last) > 0 { // the topic lacks the records that Kafka lost
		found, err = rounds(ctx, t, l, w, commands, last)
	}
	err = errors.Join(err, s.reportMemory(os.Stdout))
	if l.tally != nil {
		err = errors.Join(err, l.tally.report(os.Stdout))
	}
	if err != nil {
		err = errors.Join(err, save(o.file, l.history.all(), found), keepLogs(dir, o.file))
	}
	return err
}

// selected reports whether the name contains one of the texts, separated by commas.
func selected(name, texts string) bool {
	return slices.ContainsFunc(strings.Split(texts, ","), func(text string) bool { return strings.Contains(name, text) })
}

// faults returns the faults of a run after which the topic is complete, in the order of the table.
func (o options) faults(s *System) []fault {
	random := rand.New(rand.NewPCG(o.seed, 1<<32))
	all := disturbances(s, random)
	kills := faultsOf(s, all, o.kills, killKinds...)
	return slices.Concat(kills, anyOf("kill any", kills, o.kills, random), crashes(s.processes, o.crashes, o.seed),
		faultsOf(s, all, o.network, networkKinds...), faultsOf(s, all, o.freezes, "freeze"), pairs(s, all, o.pairs, random),
		fullDisks(s, o.disks))
}

// maxMemory is the resident memory that a service may use at most.
const maxMemory = 256 << 20

// reportMemory prints the largest resident memory of each service, and returns an error when it
// was more than maxMemory.
func (s *System) reportMemory(out io.Writer) error {
	var texts []string
	var errs []error
	for _, p := range s.all() {
		p.measure()
		texts = append(texts, fmt.Sprintf("%s %d", p.Name, p.peak.Load()>>20))
		if p.peak.Load() > maxMemory {
			errs = append(errs, fmt.Errorf("%w: %s used %d MiB of memory; the limit is %d", errBroken, p.Name, p.peak.Load()>>20, maxMemory>>20))
		}
	}
	fmt.Fprintf(out, "memory at most (MiB): %s\n", strings.Join(texts, ", "))
	return errors.Join(errs...)
}

// keepLogs copies the logs of all processes to a folder beside the file.
func keepLogs(dir, file string) error {
	return exec.Command("sh", "-c", `mkdir -p "$2.logs" && cp "$1"/*.log "$2.logs"`, "sh", dir, file).Run()
}

// crashes returns the faults in which a process dies at a failpoint.
func crashes(processes map[string][]*Process, times int, seed uint64) []fault {
	var faults []fault
	if times == 0 {
		return nil
	}
	random := rand.New(rand.NewPCG(seed, 2<<32))
	arm := func(p *Process, point failpoint.Point, most int) error {
		return p.Start(fmt.Sprintf("%s:%d", point, 1+random.IntN(most)))
	}
	for _, point := range failpoint.Points() {
		name, _, _ := strings.Cut(string(point), ".")
		victims := processes[name]
		f := fault{name: string(point), times: times}
		stop := func(context.Context) error { return victims[0].Kill(syscall.SIGTERM) }
		start := func(ctx context.Context) error {
			return errors.Join(victims[0].Start(""), victims[0].Ready(ctx))
		}
		f.begin, f.end = stop, start
		f.fire = func(ctx context.Context, _ int) error {
			most := 20
			if point == failpoint.WriterClaimed {
				most = 2
			}
			return errors.Join(arm(victims[0], point, most), victims[0].Died(ctx))
		}
		if point == failpoint.WriterRepublished {
			// There are events to republish when a writer has died between its commit
			// and the publish.
			f.fire = func(ctx context.Context, _ int) error {
				return errors.Join(arm(victims[0], failpoint.WriterCommitted, 20), victims[0].Died(ctx), arm(victims[0], point, 1), victims[0].Died(ctx))
			}
			if len(victims) > 1 { // the other one republishes them
				f.begin = func(ctx context.Context) error {
					return errors.Join(stop(ctx), victims[1].Kill(syscall.SIGTERM))
				}
				f.fire = func(ctx context.Context, _ int) error {
					return errors.Join(arm(victims[1], point, 1), arm(victims[0], failpoint.WriterCommitted, 20), victims[0].Died(ctx), victims[1].Died(ctx))
				}
				f.end = func(ctx context.Context) error {
					return errors.Join(victims[1].Start(""), victims[1].Ready(ctx), start(ctx))
				}
			}
		}
		faults = append(faults, f)
	}
	return faults
}

// rounds causes one fault after the other while clients send at least that many commands, waits
// after each until all stores are equal, and writes the table.
func rounds(ctx context.Context, t *table, l *Load, w *Observer, commands int, faults []fault) (Found, error) {
	var found Found
	for _, f := range faults {
		enough := make(chan struct{})
		sending, abort := context.WithCancel(ctx)
		fired, failed := 0, error(nil)
		go func() {
			defer close(enough)
			if f.begin != nil {
				failed = f.begin(ctx)
			}
			for n := 0; n < f.times && failed == nil; n++ {
				if failed = f.fire(ctx, n); failed == nil {
					fired++
				}
			}
			if f.end != nil {
				failed = errors.Join(failed, f.end(ctx))
			}
			if failed != nil { // a process that is still stopped would keep clients waiting
				abort()
			}
		}()
		l.Run(sending, f.name, commands+1, enough)
		abort()
		var breaches []Breach
		var took time.Duration
		found, breaches, took = w.WaitUntilEqual(ctx)
		t.row(f, fired, l.history.all(), breaches, took)
		if failed != nil {
			failed = fmt.Errorf("void: %s did not happen as often as requested: %w", f.name, failed)
		}
		if err := errors.Join(failed, report(t.out, breaches)); err != nil {
			return found, err
		}
	}
	return found, ctx.Err()
}

// table prints a row for each fault.
type table struct {
	out   io.Writer
	fired int
	slow  time.Duration
	head  bool
}

func (t *table) row(f fault, fired int, commands []Command, breaches []Breach, took time.Duration) {
	t.fired += fired
	t.slow = max(t.slow, took)
	t.print(f.name, fmt.Sprintf("%d of %d", fired, f.times), commands, breaches, took, func(round string) bool { return round == f.name })
}

func (t *table) total(commands []Command, breaches []Breach) {
	t.print("all, and the topic", fmt.Sprint(t.fired), commands, breaches, t.slow, func(string) bool { return true })
}

func (t *table) print(name, fired string, commands []Command, breaches []Breach, took time.Duration, of func(string) bool) {
	accepted, broken := 0, map[Promise]int{}
	for _, c := range commands {
		if of(c.Round) && c.accepted() {
			accepted++
		}
	}
	for _, b := range breaches {
		if of(b.Round) {
			broken[b.Promise]++
		}
	}
	if !t.head {
		t.head = true
		fmt.Fprintf(t.out, "%-20s %10s %9s %5s %8s %13s %6s %6s %8s %17s\n", "fault", "fired", "accepted", "lost", "doubled", "out of order", "wrong", "stale", "unequal", "equal after (s)")
	}
	fmt.Fprintf(t.out, "%-20s %10s %9d %5d %8d %13d %6d %6d %8d %17.1f\n", name, fired, accepted, broken[Lost], broken[Doubled], broken[Order], broken[Wrong], broken[Stale], broken[Unequal], took.Seconds())
}

// report prints the smallest example of each broken promise.
func report(out io.Writer, breaches []Breach) error {
	if len(breaches) == 0 {
		return nil
	}
	reported := map[Promise]bool{}
	for _, b := range breaches {
		if reported[b.Promise] {
			continue
		}
		reported[b.Promise] = true
		fmt.Fprintf(out, "\n%s: %s (product %s, in round %s)\n", b.Promise, b.What, b.Product, b.Round)
		for _, line := range b.Trace {
			fmt.Fprintln(out, " ", line)
		}
	}
	return fmt.Errorf("%w: %d breaches", errBroken, len(breaches))
}
