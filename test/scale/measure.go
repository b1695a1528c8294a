package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/engine/enginetest/freeport"
	"catalog/engine/enginetest/pgschema"
	"catalog/engine/kafka"
	"catalog/eventlog"
	"catalog/internal/daemon"
	"catalog/internal/wire"
)

const (
	shards   = 8
	maxBatch = 1000 // as in engine/kafka

	// sessionTimeout is the shortest that Kafka allows. The member that stays learns
	// of the eviction by its next heartbeat, a tenth of the session timeout later.
	sessionTimeout = 6 * time.Second
	takeoverPause  = sessionTimeout + sessionTimeout/10

	sendEvery   = 10 * time.Millisecond // between two sends of the commands that are due
	maxSends    = 8                     // calls of SendCommands in flight
	measureTime = 2 * time.Minute       // for one run, from its first command to its last event
)

// system is a group of writers on real engines. The test appends commands to the
// log and reads the events; there is no gateway and no reader.
type system struct {
	dir string
	env []string
	log *kafka.Log
	n   int // number of runs, part of the ids of their products

	mu      sync.Mutex
	settled map[catalog.ID]time.Time // of the commands of this run, when their event was read
	want    int
	done    chan struct{}
}

// Begin, Handle and End make the system a consumer of events.
func (s *system) Begin(context.Context, int32) (int64, error) { return 0, nil }
func (s *system) End(int32)                                   {}
func (s *system) Handle(_ context.Context, r eventlog.Records[catalog.Event]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, e := range r.Items {
		if at, ok := s.settled[e.Command]; ok && at.IsZero() {
			s.settled[e.Command] = now
			if s.want--; s.want == 0 {
				close(s.done)
			}
		}
	}
	return nil
}

// newSystem builds the programs, creates a schema and topics, and returns a
// function that removes the schema and the programs.
func newSystem(ctx context.Context) (s *system, remove func(), err error) {
	brokers, store := os.Getenv("CATALOG_TEST_KAFKA_BROKERS"), os.Getenv("CATALOG_TEST_POSTGRES_URL")
	if brokers == "" || store == "" {
		return nil, nil, errors.New("CATALOG_TEST_KAFKA_BROKERS or CATALOG_TEST_POSTGRES_URL is not set; run make engines-up, then: . .engines/env")
	}
	dir, err := os.MkdirTemp("", "catalog-scale-")
	if err != nil {
		return nil, nil, err
	}
	s = &system{dir: dir}
	own := fmt.Sprint("scale_", time.Now().UnixNano())
	schemaURL, drop, err := pgschema.Create(ctx, store, own)
	remove = func() {
		if drop != nil {
			_ = drop(ctx)
		}
		os.RemoveAll(dir)
	}
	if err != nil {
		return nil, remove, err
	}
	s.env = append(os.Environ(), "CATALOG_KAFKA_BROKERS="+brokers, "CATALOG_KAFKA_TOPIC_PREFIX="+own, "CATALOG_KAFKA_REPLICAS=1",
		fmt.Sprint("CATALOG_KAFKA_PARTITIONS=", shards), fmt.Sprint("CATALOG_KAFKA_SESSION_TIMEOUT=", sessionTimeout), "CATALOG_POSTGRES_URL="+schemaURL)
	if out, err := exec.Command("go", "build", "-o", s.dir, "catalog/cmd/writer", "catalog/cmd/catalog").CombinedOutput(); err != nil {
		return nil, remove, fmt.Errorf("build: %w\n%s", err, out)
	}
	migrate := exec.Command(filepath.Join(s.dir, "catalog"), "migrate")
	migrate.Env = s.env
	if out, err := migrate.CombinedOutput(); err != nil {
		return nil, remove, fmt.Errorf("migrate: %w\n%s", err, out)
	}
	if s.log, err = kafka.Open(ctx, kafka.Config{Brokers: brokers, TopicPrefix: own, Replicas: 1}, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err != nil {
		return nil, remove, err
	}
	return s, remove, s.log.LoadTopics(ctx)
}

// startWriter starts a writer and waits until it is ready.
func (s *system) startWriter(ctx context.Context) (*exec.Cmd, error) {
	admin := freeport.Address()
	c := exec.Command(filepath.Join(s.dir, "writer"), "-grpc", freeport.Address(), "-admin", admin, "-log.level", "error")
	c.Env, c.Stderr = s.env, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if daemon.HealthCheck(ctx, admin) == nil {
			return c, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			stop(c)
			return nil, errors.New("a writer was not ready within a minute")
		}
	}
}

func stop(c *exec.Cmd) {
	_ = c.Process.Kill()
	_ = c.Wait()
}

// commands returns n commands that create products, of the given shard if it is
// not negative.
func (s *system) commands(n, shard int) []catalog.Command {
	s.n++
	all := make([]catalog.Command, 0, n)
	for i := 0; len(all) < n; i++ {
		id := catalog.DerivedID("scale", fmt.Sprint(s.n), fmt.Sprint(i))
		if shard >= 0 && catalog.Shard(id, shards) != int32(shard) {
			continue
		}
		all = append(all, catalog.Command{ID: id, Product: id, Op: catalog.CreateProduct{Data: catalog.ProductData{
			SKU: fmt.Sprintf("SCALE-%d-%d", s.n, i), Name: fmt.Sprint("Folding chair ", i), Category: "Furniture/Chairs", Description: "A chair that folds flat, weighs three kilograms and carries a hundred and ten.",
			Price: catalog.Money{Decimal: catalog.Decimal{Units: int64(10 + i%990)}, Currency: "EUR"}, Attributes: map[string]string{"width": "45 cm"},
		}}})
	}
	return all
}

// run sends each command at its time and returns the time from then until its
// event was read. during, if not nil, runs beside the load.
func (s *system) run(ctx context.Context, commands []catalog.Command, at []time.Duration, during func(start time.Time) error) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, measureTime)
	defer cancel()
	s.mu.Lock()
	s.settled, s.want, s.done = make(map[catalog.ID]time.Time, len(commands)), len(commands), make(chan struct{})
	for _, c := range commands {
		s.settled[c.ID] = time.Time{}
	}
	s.mu.Unlock()
	start := time.Now()
	errs := make(chan error, 2)
	if during != nil {
		go func() { errs <- during(start) }()
	} else {
		errs <- nil
	}
	go func() { errs <- s.send(ctx, commands, at, start) }()
	for range 2 {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%d of %d events are missing after %v", s.want, len(commands), measureTime)
	}
	ages := make([]time.Duration, len(commands))
	for i, c := range commands {
		ages[i] = s.settled[c.ID].Sub(start.Add(at[i]))
	}
	return ages, nil
}

// send appends each command to the log when it is due.
func (s *system) send(ctx context.Context, commands []catalog.Command, at []time.Duration, start time.Time) error {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
	)
	slots := make(chan struct{}, maxSends)
	for sent := 0; sent < len(commands); {
		due := sent
		for due < len(commands) && due < sent+maxBatch && at[due] <= time.Since(start) {
			due++
		}
		if due == sent {
			time.Sleep(sendEvery)
			continue
		}
		part := commands[sent:due]
		for i := range part {
			part[i].AcceptedAt = wire.TruncateTime(time.Now())
		}
		sent = due
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := s.log.SendCommands(ctx, part...); err != nil {
				mu.Lock()
				defer mu.Unlock()
				first = errors.Join(first, err)
			}
		})
	}
	wg.Wait()
	return first
}

// drain returns how many commands a second the writers settle when n commands come
// at sentRate, or at once if that is 0. Sending takes processor time from them.
func (s *system) drain(ctx context.Context, n, shard int, sentRate float64) (float64, error) {
	at := make([]time.Duration, n)
	if sentRate > 0 {
		for i := range at {
			at[i] = time.Duration(float64(i) / sentRate * float64(time.Second))
		}
	}
	ages, err := s.run(ctx, s.commands(n, shard), at, nil)
	if err != nil {
		return 0, err
	}
	last := time.Duration(0)
	for i, age := range ages {
		last = max(last, at[i]+age)
	}
	return float64(n) / last.Seconds(), nil
}

// calibrate measures the parameters of the queue.
func (s *system) calibrate(ctx context.Context) (queue, error) {
	const n = 30_000
	for range 3 { // fills caches and connections; the virtual machine of Kafka compiles
		if _, err := s.drain(ctx, n, -1, 0); err != nil {
			return queue{}, err
		}
	}
	one, err := s.drain(ctx, n, 0, 0)
	if err != nil {
		return queue{}, err
	}
	all, err := s.drain(ctx, 2*n, -1, 0)
	if err != nil {
		return queue{}, err
	}
	const singles = 200
	at := make([]time.Duration, singles)
	for i := range at {
		at[i] = time.Duration(i) * 20 * time.Millisecond
	}
	ages, err := s.run(ctx, s.commands(singles, -1), at, nil)
	if err != nil {
		return queue{}, err
	}
	sum := time.Duration(0)
	for _, age := range ages {
		sum += age
	}
	single := sum / singles
	full := time.Duration(maxBatch / one * float64(time.Second)) // one batch of maxBatch commands
	command := (full - single) / (maxBatch - 1)
	return queue{shards: shards, maxBatch: maxBatch, batch: single - command, command: command, parallel: max(1, all/one)}, nil
}

// scenario is a load and what happens during it.
type scenario struct {
	name    string
	phases  []phase
	writers int
	pauses  []pause
	kill    bool // kill one of the writers at eventAt
}

const eventAt = 6 * time.Second // when a writer is killed

// burst is the load of the first scenario, in multiples of what the writers settle.
const burst = 2.5

// The loads of scenarios are multiples of the rate of the writers.
var scenarios = []scenario{
	{name: "burst of 2.5 times the rate for 5 s", writers: 1, phases: []phase{{4 * time.Second, 0.3}, {5 * time.Second, burst}, {18 * time.Second, 0.3}}},
	{
		name: "one of two writers killed at 40 % load", writers: 2, phases: []phase{{25 * time.Second, 0.4}}, kill: true,
		pauses: []pause{{eventAt, eventAt + takeoverPause, func(shard int) bool { return shard < shards/2 }}},
	},
}

// compare runs the scenarios for real and in the simulator, prints both and
// returns an error when they differ by more than the tolerance.
func compare(ctx context.Context) (err error) {
	const tolerance = 0.2
	s, remove, err := newSystem(ctx)
	if remove != nil {
		defer remove()
	}
	if err != nil {
		return err
	}
	defer s.log.Close()
	running, cancel := context.WithCancel(ctx)
	var events sync.WaitGroup
	defer events.Wait()
	defer cancel()
	events.Go(func() { _ = s.log.ConsumeAllShards(running, "scale", s) })

	first, err := s.startWriter(ctx)
	if err != nil {
		return err
	}
	q, err := s.calibrate(ctx)
	stop(first)
	if err != nil {
		return err
	}
	fmt.Printf("calibrated: %v a batch and %v a command, %.1f batches at once, %.0f commands/s\n\n", q.batch.Round(time.Microsecond), q.command.Round(100*time.Nanosecond), q.parallel, q.rate())
	fmt.Println("| scenario | figure | simulated | measured | ratio |\n|---|---|---|---|---|")
	for _, sc := range scenarios {
		simulated, real, err := s.scenario(ctx, q, sc)
		if err != nil {
			return fmt.Errorf("%s: %w", sc.name, err)
		}
		for _, f := range []struct {
			name                string
			simulated, measured time.Duration
		}{{"longest age", simulated.maxAge, real.maxAge}, {"recovered after", simulated.recovered, real.recovered}} {
			ratio := f.measured.Seconds() / f.simulated.Seconds()
			fmt.Printf("| %s | %s | %.1f s | %.1f s | %.2f |\n", sc.name, f.name, f.simulated.Seconds(), f.measured.Seconds(), ratio)
			if math.Abs(ratio-1) > tolerance {
				err = fmt.Errorf("%s: %s differs by more than %.0f %%", sc.name, f.name, tolerance*100)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scenario runs one scenario. The speed of the machine changes with what else it
// does, so the rate of the writers is measured before and after the run, and the
// simulator uses the mean.
func (s *system) scenario(ctx context.Context, q queue, sc scenario) (simulated, measured summary, err error) {
	const n = 60_000
	var writers []*exec.Cmd
	defer func() {
		for _, w := range writers {
			stop(w)
		}
	}()
	for range sc.writers {
		w, err := s.startWriter(ctx)
		if err != nil {
			return simulated, measured, err
		}
		writers = append(writers, w)
	}
	if err := s.settleDown(ctx); err != nil {
		return simulated, measured, err
	}
	before, err := s.drain(ctx, n, -1, burst*q.rate())
	if err != nil {
		return simulated, measured, err
	}
	phases := slices.Clone(sc.phases)
	for i := range phases {
		phases[i].rate *= before
	}
	arrivals := poisson(phases, shards, 1)
	commands, at := s.commands(len(arrivals), -1), make([]time.Duration, len(arrivals))
	for i := range arrivals {
		arrivals[i].shard, at[i] = int(catalog.Shard(commands[i].Product, shards)), arrivals[i].at
	}
	var during func(time.Time) error
	if sc.kill {
		during = func(start time.Time) error {
			time.Sleep(time.Until(start.Add(eventAt)))
			return writers[0].Process.Kill()
		}
	}
	ages, err := s.run(ctx, commands, at, during)
	if err != nil {
		return simulated, measured, err
	}
	after, err := s.drain(ctx, n, -1, burst*q.rate())
	if err != nil {
		return simulated, measured, err
	}
	fmt.Printf("rate of the writers: %.0f/s before, %.0f/s after\n", before, after)
	return summarize(arrivals, q.withRate((before+after)/2).simulate(arrivals, sc.pauses)), summarize(arrivals, ages), nil
}

// settleDown waits until every shard has an owner that settles commands: a group of
// writers that has just changed may still be in a rebalance.
func (s *system) settleDown(ctx context.Context) error {
	for range 2 {
		if _, err := s.drain(ctx, 50*shards, -1, 0); err != nil {
			return err
		}
	}
	return nil
}
