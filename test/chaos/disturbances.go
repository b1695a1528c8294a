package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// disturbance is a fault of one process, engine or link, which can happen together with
// another one.
type disturbance struct {
	kind   string                      // name of the fault to which it belongs
	victim string                      // the process, engine or link that is disturbed: no two disturbances at once have the same
	run    func(context.Context) error // causes the fault, waits until it has happened, and ends it
}

// disturbances returns all disturbances of the system, in random order within each kind.
func disturbances(s *System, random *rand.Rand) (all []disturbance) {
	for _, service := range services {
		for _, p := range s.processes[service.name] {
			all = append(all, disturbance{"kill " + service.name, p.Name, p.restart},
				disturbance{"freeze", p.Name, freeze(p.Name, func() (int, error) { return p.cmd.Process.Pid, nil }, between(random, 1, 6))})
		}
	}
	for _, engine := range engines {
		all = append(all, disturbance{"kill " + engine, engine, func(ctx context.Context) error { return s.restartEngine(ctx, engine) }},
			disturbance{"freeze", engine, freeze(engine, func() (int, error) { return s.enginePID(engine) }, between(random, 1, 6))})
	}
	for _, k := range s.Links {
		for _, f := range linkFaults(random) {
			all = append(all, disturbance{f.kind, k.Name, func(ctx context.Context) error { return k.disturb(ctx, f) }})
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// kinds of disturbances, in the order of the table.
var (
	killKinds    = []string{"kill gateway", "kill writer", "kill reader", "kill kafka", "kill postgres", "kill ferretdb", "kill redis"}
	networkKinds = []string{"late", "slow", "one way out", "one way in", "hang", "hang old", "reset", "cut"}
)

// faultsOf returns a fault for each of the kinds, which happens the given number of times,
// each time to another victim.
func faultsOf(s *System, all []disturbance, times int, kinds ...string) (faults []fault) {
	if times == 0 {
		return nil
	}
	for _, kind := range kinds {
		var of []disturbance
		for _, d := range all {
			if d.kind == kind {
				of = append(of, d)
			}
		}
		faults = append(faults, fault{name: kind, times: times, fire: func(ctx context.Context, n int) error {
			d := of[n%len(of)]
			s.note("%s: %s", d.kind, d.victim)
			return errors.Join(d.run(ctx), s.ready(ctx))
		}})
	}
	return faults
}

// anyOf returns a fault that is one of the faults each time.
func anyOf(name string, faults []fault, times int, random *rand.Rand) []fault {
	if times == 0 || len(faults) == 0 {
		return nil
	}
	return []fault{{name: name, times: times, fire: func(ctx context.Context, n int) error {
		return faults[random.IntN(len(faults))].fire(ctx, n)
	}}}
}

// pairs returns a fault that is two random disturbances at once.
func pairs(s *System, all []disturbance, times int, random *rand.Rand) []fault {
	if times == 0 {
		return nil
	}
	return []fault{{name: "two at once", times: times, fire: func(ctx context.Context, _ int) error {
		a := all[random.IntN(len(all))]
		b := all[random.IntN(len(all))]
		for related(a.victim, b.victim) {
			b = all[random.IntN(len(all))]
		}
		s.note("two at once: %s: %s, and %s: %s", a.kind, a.victim, b.kind, b.victim)
		second := make(chan error, 1)
		go func() { second <- b.run(ctx) }()
		return errors.Join(a.run(ctx), <-second, s.ready(ctx))
	}}}
}

// related reports whether a fault of one victim can keep that of the other from happening: they
// are the same, one is an end of the other's link, or both are FerretDB and its PostgreSQL.
func related(a, b string) bool {
	stores := []string{"postgres", "ferretdb"}
	if slices.Contains(stores, a) && slices.Contains(stores, b) {
		return true
	}
	return slices.Contains(strings.Fields(a), b) || slices.Contains(strings.Fields(b), a) || a == b
}

// between returns a random time between two numbers of seconds.
func between(random *rand.Rand, from, to float64) time.Duration {
	return time.Duration((from + (to-from)*random.Float64()) * float64(time.Second))
}

// namedFault is a fault of a link and its duration.
type namedFault struct {
	LinkFault
	kind  string
	lasts time.Duration
}

// linkFaults returns the faults of one link, with random delays and times.
func linkFaults(random *rand.Rand) (faults []namedFault) {
	for _, kind := range networkKinds {
		f := namedFault{kind: kind, lasts: between(random, 1, 4)}
		switch kind {
		case "late":
			f.Delay = between(random, 0.08, 0.15)
		case "slow":
			f.Rate = 40 << 10
		case "one way out":
			f.HoldOut = true
		case "one way in":
			f.HoldIn = true
		case "hang":
			f.HoldOut, f.HoldIn = true, true
		case "hang old":
			f.HoldPresentConns = true
		case "reset":
			f.ResetOnce = true
		case "cut":
			f.Cut = true
		}
		faults = append(faults, f)
	}
	return faults
}

// disturb causes a fault of the link, waits until it has affected a connection, and ends it
// after its time. Connections that were to hang for ever still hang then.
func (k *Link) disturb(ctx context.Context, f namedFault) error {
	before := k.Set(f.LinkFault)
	defer k.Set(LinkFault{})
	return errors.Join(waitUntil(ctx, "the fault "+f.kind+" of "+k.Name+" affects a connection", func() bool { return k.Hits() > before }),
		sleep(ctx, f.lasts))
}

// freeze returns a function that stops a process and its children, without their notice, for
// some time.
func freeze(name string, pid func() (int, error), duration time.Duration) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		root, err := pid()
		if err != nil {
			return err
		}
		frozen := []int{root}
		defer func() {
			for _, pid := range slices.Backward(frozen) {
				_ = syscall.Kill(pid, syscall.SIGCONT)
			}
		}()
		if err := syscall.Kill(root, syscall.SIGSTOP); err != nil {
			return fmt.Errorf("freeze %s: %w", name, err)
		}
		if err := waitUntil(ctx, name+" is frozen", func() bool { return processState(root) == "T" }); err != nil {
			return err
		}
		for _, child := range children(root) {
			if syscall.Kill(child, syscall.SIGSTOP) == nil {
				frozen = append(frozen, child)
			}
		}
		return sleep(ctx, duration)
	}
}

// children returns the process ids of the children.
func children(pid int) (pids []int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range strings.Fields(string(b)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

// processState returns the state of a process as the kernel names it, such as T for stopped.
func processState(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(b), ") ")
	state, _, _ := strings.Cut(after, " ")
	return state
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
