// Command chaos shows that nothing is lost, doubled or reordered, whatever
// dies. It starts real engines of its own (deploy/engines) and two of each
// program, sends commands, kills one part after the other with SIGKILL while
// they flow, and compares what clients were told with what there is in the end,
// in every store. It is run in the folder of the repository.
//
//	go run ./test/chaos [-commands N] [-kills N] [-crashes N] [-seed N]
//	go run ./test/chaos -check FILE
//
// The exit code is 1 when a promise was broken, and 2 when it could not be
// shown that none was, since not all faults have happened.
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
	flag.IntVar(&o.commands, "commands", 20_000, "least `number` of commands")
	flag.IntVar(&o.kills, "kills", 3, "`times` that each part is killed from outside")
	flag.IntVar(&o.crashes, "crashes", 0, "`times` that a program dies at each failpoint")
	flag.StringVar(&o.only, "only", "", "faults whose names have this `text`, and no others")
	flag.IntVar(&o.rate, "rate", 250, "commands a `second`")
	flag.IntVar(&o.products, "products", 400, "`number` of products")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "what commands and times are made of")
	flag.StringVar(&o.file, "history", "chaos-history.jsonl", "`file` for what was seen, when a promise was broken")
	check := flag.String("check", "", "check such a `file` again, and nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *check != "" {
		err = checkFile(*check)
	} else {
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
	return tell(os.Stdout, Check(commands, found))
}

type options struct {
	commands, kills, crashes, rate, products int
	seed                                     uint64
	only, file                               string
}

// fault is what happens again and again in a round.
type fault struct {
	name  string
	times int
	begin func(ctx context.Context) error        // before the first time
	fire  func(ctx context.Context, n int) error // returns when it has happened, and is mended if the next needs that
	end   func(ctx context.Context) error
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
	build := exec.CommandContext(ctx, "go", "build", "-o", programs+"/", "./cmd/...")
	if o.crashes > 0 {
		build.Args = append(build.Args[:2], append([]string{"-tags", "failpoint"}, build.Args[2:]...)...)
	}
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	s, err := newSystem(ctx, dir, programs)
	defer s.Stop()
	if err != nil {
		return err
	}
	l := newLoad(s.APIs, o.rate, o.products, o.seed)
	w, err := newWatch(l, s.Writers)
	if err != nil {
		return err
	}
	defer w.Close()
	fmt.Printf("seed %d\n", o.seed)
	t := &table{out: os.Stdout}
	faults := append(kills(s, o.kills, o.seed), crashes(s.processes, o.crashes, o.seed)...)
	faults = slices.DeleteFunc(faults, func(f fault) bool { return !strings.Contains(f.name, o.only) })
	found, err := rounds(ctx, t, l, w, o.commands, faults)
	if err == nil {
		if found.Topic, err = w.Topic(ctx, s.Brokers, ""); err == nil {
			breaches := Check(l.history.all(), found)
			t.total(l.history.all(), breaches)
			err = tell(os.Stdout, breaches)
		}
	}
	if err != nil {
		err = errors.Join(err, save(o.file, l.history.all(), found), keepLogs(dir, o.file))
	}
	return err
}

// keepLogs puts the logs of all processes beside the file.
func keepLogs(dir, file string) error {
	return exec.Command("sh", "-c", `mkdir -p "$2.logs" && cp "$1"/*.log "$2.logs"`, "sh", dir, file).Run()
}

// kills are the faults from outside.
func kills(s *System, times int, seed uint64) []fault {
	var faults []fault
	if times == 0 {
		return nil
	}
	kill := map[string]func(context.Context, int) error{}
	for _, name := range []string{"gateway", "writer", "reader"} {
		kill[name] = func(ctx context.Context, n int) error { return s.restartService(ctx, name, n) }
	}
	for _, name := range engines {
		kill[name] = func(ctx context.Context, _ int) error { return s.restartEngine(ctx, name) }
	}
	names := append([]string{"gateway", "writer", "reader"}, engines...)
	for _, name := range names {
		faults = append(faults, fault{name: "kill " + name, times: times, fire: kill[name]})
	}
	random := rand.New(rand.NewPCG(seed, 1<<32))
	return append(faults, fault{name: "kill any", times: times, fire: func(ctx context.Context, n int) error {
		return kill[names[random.IntN(len(names))]](ctx, n)
	}})
}

// crashes are the faults from inside: one of the processes dies at each place.
func crashes(processes map[string][]*Process, times int, seed uint64) []fault {
	var faults []fault
	if times == 0 {
		return nil
	}
	random := rand.New(rand.NewPCG(seed, 2<<32))
	arm := func(p *Process, place failpoint.Point, most int) error {
		return p.Start(fmt.Sprintf("%s:%d", place, 1+random.IntN(most)))
	}
	for _, place := range failpoint.Points() {
		name, _, _ := strings.Cut(string(place), ".")
		victims := processes[name]
		f := fault{name: string(place), times: times}
		stop := func(context.Context) error { return victims[0].Kill(syscall.SIGTERM) }
		start := func(ctx context.Context) error {
			return errors.Join(victims[0].Start(""), victims[0].Ready(ctx))
		}
		f.begin, f.end = stop, start
		f.fire = func(ctx context.Context, _ int) error {
			most := 20
			if place == failpoint.WriterClaimed {
				most = 2
			}
			return errors.Join(arm(victims[0], place, most), victims[0].Died(ctx))
		}
		if place == failpoint.WriterRepublished {
			// There is something to publish again when a writer has died between
			// its commit and the publishing.
			f.fire = func(ctx context.Context, _ int) error {
				return errors.Join(arm(victims[0], failpoint.WriterCommitted, 20), victims[0].Died(ctx), arm(victims[0], place, 1), victims[0].Died(ctx))
			}
			if len(victims) > 1 { // then the other one publishes it
				f.begin = func(ctx context.Context) error {
					return errors.Join(stop(ctx), victims[1].Kill(syscall.SIGTERM))
				}
				f.fire = func(ctx context.Context, _ int) error {
					return errors.Join(arm(victims[1], place, 1), arm(victims[0], failpoint.WriterCommitted, 20), victims[0].Died(ctx), victims[1].Died(ctx))
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

// rounds lets one fault after the other happen while commands flow, waits after
// each until all is well, and writes the table.
func rounds(ctx context.Context, t *table, l *Load, w *Watch, commands int, faults []fault) (Found, error) {
	var found Found
	for _, f := range faults {
		enough := make(chan struct{})
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
		}()
		l.Run(ctx, f.name, commands/len(faults)+1, enough)
		var breaches []Breach
		var took time.Duration
		found, breaches, took = w.Settle(ctx)
		t.row(f, fired, l.history.all(), breaches, took)
		if failed != nil {
			failed = fmt.Errorf("void, since %s has not happened as often as asked: %w", f.name, failed)
		}
		if err := errors.Join(failed, tell(t.out, breaches)); err != nil {
			return found, err
		}
	}
	return found, ctx.Err()
}

// table is what is printed: a row for each fault.
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
		if of(c.Round) && c.taken() {
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
		fmt.Fprintf(t.out, "%-20s %10s %9s %5s %8s %13s %6s %8s %17s\n", "fault", "fired", "accepted", "lost", "doubled", "out of order", "wrong", "unequal", "equal after (s)")
	}
	fmt.Fprintf(t.out, "%-20s %10s %9d %5d %8d %13d %6d %8d %17.1f\n", name, fired, accepted, broken[Lost], broken[Doubled], broken[Order], broken[Wrong], broken[Unequal], took.Seconds())
}

// tell prints the smallest example of each promise that was broken.
func tell(out io.Writer, breaches []Breach) error {
	if len(breaches) == 0 {
		return nil
	}
	told := map[Promise]bool{}
	for _, b := range breaches {
		if told[b.Promise] {
			continue
		}
		told[b.Promise] = true
		fmt.Fprintf(out, "\n%s: %s (product %s, in round %s)\n", b.Promise, b.What, b.Product, b.Round)
		for _, line := range b.Story {
			fmt.Fprintln(out, " ", line)
		}
	}
	return fmt.Errorf("%w: %d breaches", errBroken, len(breaches))
}
