// Package program has what the four programs have in common: the main function of a
// service, and the construction of the three services from their engines, the same
// for a process of one service and for catalog up, which runs all three.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"catalog/internal/buildinfo"
	"catalog/internal/daemon"
	"catalog/internal/engines"
	"catalog/internal/telemetry"
)

// adminHeaderTimeout limits the time in which a client of the admin port must send
// the header of its request; slower connections are closed.
const adminHeaderTimeout = 5 * time.Second

// Info describes a service.
type Info struct {
	Name      string // of the program
	About     string // a sentence for -h
	AdminAddr string // default of -admin
}

// Config holds the settings that all programs have.
type Config struct {
	Daemon    daemon.Config
	Telemetry telemetry.Config
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
	cfg := Config{Daemon: daemon.Config{ShutdownDelay: time.Second}}
	fs := flag.NewFlagSet(i.Name, flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: %s [flags]\n\n%s\n\n", i.Name, i.About)
		daemon.PrintFlags(fs)
	}
	cfg.Flags(fs, i.AdminAddr)
	declare(fs)
	exit := func(code int, err error) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", i.Name, err)
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
	if cfg.Daemon.HealthCheck {
		if err := HealthCheck(context.Background(), cfg, os.Stdout); err != nil {
			exit(1, err)
		}
		return
	}
	if err := runService(i.Name, cfg, run); err != nil {
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

func runService(name string, cfg Config, run func(context.Context, *Process) error) error {
	ctx, stop := daemon.Signals(context.Background())
	defer stop()
	p, err := Open(ctx, name, cfg, os.Stderr)
	if err != nil {
		return err
	}
	defer p.Close()
	p.Started = func(adminAddr string) {
		p.Telemetry.Log.Info("started", "version", buildinfo.Read().Version, "admin", adminAddr)
	}
	return run(ctx, p)
}

// Process is a running program.
type Process struct {
	Telemetry *telemetry.Telemetry
	Engines   *engines.Set // closed by Close

	// Started, if set, is called with the address of the admin port when Run has
	// opened it.
	Started func(adminAddr string)

	daemon daemon.Config
}

// Open opens the telemetry of a program. Logs go to w.
func Open(ctx context.Context, name string, cfg Config, w io.Writer) (*Process, error) {
	t, err := telemetry.Open(ctx, name, buildinfo.Read().Version, cfg.Telemetry, w)
	if err != nil {
		return nil, err
	}
	return &Process{Telemetry: t, Engines: &engines.Set{Log: t.Log, Registry: t.Registry}, daemon: cfg.Daemon}, nil
}

// Close closes the engines, then telemetry.
func (p *Process) Close() {
	p.Engines.Close()
	p.Telemetry.Close()
}

// Run serves the admin port and runs the parts until ctx ends or a part fails. The
// process is ready when all checks of its engines and services pass.
func (p *Process) Run(ctx context.Context, parts ...daemon.Part) error {
	l, err := daemon.Listen(p.daemon.AdminAddr)
	if err != nil {
		return err
	}
	stopping, drain := daemon.Drain(ctx, p.daemon.ShutdownDelay)
	admin := daemon.Serve("admin", l, &http.Server{
		Handler:           daemon.Admin(p.Telemetry.Metrics(), append(p.Engines.Checks(), stopping)...),
		ReadHeaderTimeout: adminHeaderTimeout,
	})
	if p.Started != nil {
		p.Started(l.Addr().String())
	}
	return daemon.Run(ctx, p.Telemetry.Log, p.daemon.ShutdownTimeout,
		slices.Concat([]daemon.Part{admin}, parts, []daemon.Part{drain})...)
}
