// Package program has what the four programs have in common: the main function of a
// service, and the construction of the three services from their engines, the same
// for a process of one service and for catalog up, which runs all three.
package program

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"catalog/internal/buildinfo"
	"catalog/internal/daemon"
	"catalog/internal/engines"
	"catalog/internal/memory"
	"catalog/internal/telemetry"
)

// Info describes a service.
type Info struct {
	Name      string // name of the program
	About     string // a sentence for -h
	AdminAddr string // default of -admin

	// MemoryLimit is as in Config. Only a service whose memory does not grow with its
	// data or its settings has one.
	MemoryLimit int64
}

// Config holds the settings that all programs have.
type Config struct {
	Daemon    daemon.Config
	Telemetry telemetry.Config

	// Secrets hides the secrets of the command line in the log and on the admin port.
	Secrets *daemon.Secrets

	// MemoryLimit is the soft memory limit of Go, in bytes, where neither GOMEMLIMIT
	// nor the container sets one. 0 means none.
	MemoryLimit int64

	// default of -admin
	Services int
}

// Flags declares the flags of c. adminAddr is the default of -admin.
func (c *Config) Flags(fs *flag.FlagSet, adminAddr string) {
	c.Daemon.Flags(fs, adminAddr)
	c.Telemetry.Flags(fs)
}

// Main is the main function of a service: it parses the flags, which declare adds to,
// opens telemetry and calls run, which opens the engines and ends with Process.Run.
// Main prints an error on one line of standard error and exits with code 2 for a
// command line that is not valid, and 1 otherwise.
func Main(i Info, declare func(*flag.FlagSet), run func(context.Context, *Process) error) {
	daemon.PrivateFiles()
	cfg := Config{Daemon: daemon.Config{ShutdownDelay: time.Second}, MemoryLimit: i.MemoryLimit}
	fs := flag.NewFlagSet(i.Name, flag.ContinueOnError)
	fs.SetOutput(os.Stdout) // for the text of -h; errors are printed below
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: %s [flags]\n\n%s\n\n", i.Name, i.About)
		daemon.PrintFlags(fs)
	}
	cfg.Flags(fs, i.AdminAddr)
	version := fs.Bool("version", false, "print the version, the commit and the version of Go")
	declare(fs)
	cfg.Secrets = daemon.FindSecrets(os.Args[1:], os.Environ())
	exit := func(code int, err error) {
		fmt.Fprintf(os.Stderr, "%s: %s\n", i.Name, cfg.Secrets.Hide(err.Error()))
		os.Exit(code)
	}
	switch err := daemon.Parse(fs, os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		exit(2, err)
	case fs.NArg() > 0:
		exit(2, fmt.Errorf("%q is not a flag; see %s -h", fs.Arg(0), i.Name))
	}
	if *version {
		fmt.Println(i.Name, buildinfo.Read())
		return
	}
	if cfg.Daemon.HealthCheck {
		if err := HealthCheck(context.Background(), cfg, os.Stdout); err != nil {
			exit(1, err)
		}
		return
	}
	if err := runService(fs, cfg, run); err != nil {
		exit(1, err)
	}
}

// HealthCheck asks the running process with the admin address of cfg whether it is
// ready, and prints "ready" to w if it is.
func HealthCheck(ctx context.Context, cfg Config, w io.Writer) error {
	err := daemon.HealthCheck(ctx, cfg.Daemon.AdminAddr)
	if err == nil {
		fmt.Fprintln(w, "ready")
	}
	return err
}

func runService(fs *flag.FlagSet, cfg Config, run func(context.Context, *Process) error) error {
	ctx, stop := daemon.Signals(context.Background())
	defer stop()
	p, err := Open(ctx, fs.Name(), cfg, os.Stderr)
	if err != nil {
		return err
	}
	defer p.Close()
	p.LogStart(fs)
	// A service that starts while an engine is away waits for it, alive and not ready.
	p.Engines.Wait = true
	if err := p.serveAdmin(); err != nil {
		return err
	}
	if err := run(ctx, p); ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	return nil // the program was stopped while it waited
}

// Process is a running program.
type Process struct {
	Telemetry *telemetry.Telemetry
	Engines   *engines.Set // closed by Close

	// Ready, if set, is called when all checks pass for the first time, with the address
	// of the admin port and the time since Open.
	Ready func(ctx context.Context, adminAddr string, took time.Duration)

	daemon    daemon.Config
	secrets   *daemon.Secrets
	admin     *adminPort // admin port of a service, open from the start on
	opened    time.Time
	addresses []slog.Attr // addresses at which the process listens, by the name of the flag
}

// Open opens the telemetry of a program. Logs go to w.
func Open(ctx context.Context, name string, cfg Config, w io.Writer) (*Process, error) {
	opened := time.Now()
	t, err := telemetry.Open(ctx, name, buildinfo.Read().Version, cfg.Telemetry, cfg.Secrets.Writer(w))
	if err != nil {
		return nil, err
	}
	if err := memory.SetLimit(cfg.MemoryLimit); err != nil {
		t.Log.WarnContext(ctx, "memory limit of the container not read; set GOMEMLIMIT", "err", err)
	}
	budget := memory.NewBudget(int64(cmp.Or(cfg.Services, 1))*memory.ServiceBudget, t.Registry)
	return &Process{Telemetry: t, Engines: &engines.Set{Log: t.Log, Registry: t.Registry, Memory: budget}, daemon: cfg.Daemon, secrets: cfg.Secrets, opened: opened}, nil
}

// LogStart logs the version of the program, its addresses and the settings that differ
// from their defaults, in one line and without secrets.
func (p *Process) LogStart(fs *flag.FlagSet) {
	b := buildinfo.Read()
	p.Telemetry.Log.LogAttrs(context.Background(), slog.LevelInfo, "starting",
		slog.String("version", b.Version), slog.String("commit", b.Commit), slog.String("go", b.Go), slog.Int("pid", os.Getpid()),
		slog.GroupAttrs("settings", daemon.Settings(fs, "http", "grpc", "admin")...))
}

// Close closes the engines, then telemetry.
func (p *Process) Close() {
	if p.admin != nil {
		p.admin.stop()
	}
	p.Engines.Close()
	p.Telemetry.Close()
}

// Run serves the admin port and runs the parts until ctx ends or a part fails. The
// process is ready when all checks of its engines and services pass.
func (p *Process) Run(ctx context.Context, parts ...daemon.Part) error {
	if p.admin == nil {
		if err := p.serveAdmin(); err != nil {
			return err
		}
	}
	stopping, drain := daemon.Drain(ctx, p.daemon.ShutdownDelay)
	checks := p.Engines.Checks()
	measured, readiness := measureReadiness(p.Telemetry.Registry, append(checks, stopping))
	readyGauge(p.Telemetry.Registry).DeleteLabelValues(enginesCheck)
	p.setChecks(p.admin, measured...)
	ready := daemon.Part{Name: "ready", Run: func(ctx context.Context) error {
		if waitUntilReady(ctx, checks) {
			took := time.Since(p.opened)
			p.Telemetry.Log.LogAttrs(ctx, slog.LevelInfo, "ready", append(p.addresses, slog.String("admin", p.admin.addr), slog.Duration("took", took))...)
			if p.Ready != nil {
				p.Ready(ctx, p.admin.addr, took)
			}
		}
		<-ctx.Done()
		return nil
	}}
	return daemon.Run(ctx, p.Telemetry.Log, p.daemon.ShutdownTimeout,
		slices.Concat([]daemon.Part{p.admin.part(), readiness}, parts, []daemon.Part{ready, drain})...)
}

// The time between two rounds of checks during the start: short at first, since an
// embedded start takes a fraction of a second, and longer while engines are missing.
const minReadyPoll, maxReadyPoll = 10 * time.Millisecond, time.Second

// waitUntilReady waits until all checks pass. It returns false if ctx ends first.
func waitUntilReady(ctx context.Context, checks []daemon.Check) bool {
	for poll := minReadyPoll; ; poll = min(poll*5/4, maxReadyPoll) {
		var errs []error
		for _, c := range checks {
			errs = append(errs, c.Ping(ctx))
		}
		if errors.Join(errs...) == nil {
			return true
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return false
		}
	}
}
