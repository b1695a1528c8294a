package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"catalog/internal/daemon"
	"catalog/internal/telemetry"
)

// Version is set by the linker in a release.
var Version = "dev"

// Process is what a service's main has before its engines.
type Process struct {
	Daemon    daemon.Config
	Telemetry telemetry.Config
	telemetry *telemetry.Telemetry
}

// Main runs a service as a process: it parses the flags, opens telemetry and
// calls run, which opens the engines and runs the parts until ctx ends. An
// error is one line on the standard error, and exit code 1.
func Main(name, about, admin string, declare func(*flag.FlagSet), run func(ctx context.Context, p *Process, t *telemetry.Telemetry) error) {
	var p Process
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: %s [flags]\n\n%s\n\n", name, about)
		daemon.PrintFlags(fs)
	}
	p.Daemon.ShutdownDelay = time.Second
	p.Daemon.Flags(fs, admin)
	p.Telemetry.Flags(fs)
	declare(fs)
	err := daemon.Parse(fs, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err == nil && fs.NArg() > 0:
		err = fmt.Errorf("%q is not a flag; see %s -h", fs.Arg(0), name)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(2)
	}
	if err := p.run(name, run); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func (p *Process) run(name string, run func(context.Context, *Process, *telemetry.Telemetry) error) error {
	ctx, stop := daemon.Signals(context.Background())
	defer stop()
	t, err := telemetry.Open(ctx, name, Version, p.Telemetry, os.Stderr)
	if err != nil {
		return err
	}
	defer t.Close()
	p.telemetry = t
	return run(ctx, p, t)
}

// Run answers the admin port and runs the parts until ctx ends.
func (p *Process) Run(ctx context.Context, checks []daemon.Check, parts ...daemon.Part) error {
	l, err := daemon.Listen(p.Daemon.AdminAddr)
	if err != nil {
		return err
	}
	p.telemetry.Log.Info("started", "version", Version, "admin", l.Addr().String())
	stay, drain := daemon.Drain(ctx, p.Daemon.ShutdownDelay)
	parts = slices.Concat([]daemon.Part{Admin(p.telemetry, l, append(checks, stay)...)}, parts, []daemon.Part{drain})
	return daemon.Run(ctx, p.telemetry.Log, p.Daemon.ShutdownTimeout, parts...)
}
