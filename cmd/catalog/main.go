// Command catalog is the whole system in one process (catalog up), and the
// command line to it and to a system that runs elsewhere.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"catalog/cmd/internal/program"
	"catalog/internal/daemon"
)

// command is one subcommand.
type command struct {
	name, about string
	run         func(ctx context.Context, args []string) error
}

func commands() []command {
	return []command{
		{"up", "run the whole system in this process", up},
		{"import", "send products from a CSV or NDJSON file", importFile},
		{"export", "write all products to a CSV or NDJSON file", exportFile},
		{"product", "read and write single products", product},
		{"verify", "compare view, cache and search index with the truth", verify},
		{"rebuild", "make view and search index anew from the truth", rebuild},
		{"dead-letters", "list, show and replay records that are no commands", dead},
		{"repair", "mend what does not fit between store and topics", repairStore},
		{"migrate", "make or update topics and tables of real engines", migrate},
		{"version", "say which version this is", func(context.Context, []string) error { fmt.Println("catalog", program.Version); return nil }},
	}
}

func main() {
	ctx, stop := daemon.Signals(context.Background())
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stderr))
}

// run runs the subcommand and answers the exit code: 0, 1 for what went wrong,
// 2 for a command line that makes no sense.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	if len(args) == 0 || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help" {
		help(stderr)
		if len(args) == 0 {
			return 2
		}
		return 0
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, args[1:])
		var usage *usageError
		switch {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return 0
		case errors.As(err, &usage):
			fmt.Fprintf(stderr, "catalog %s: %v\n", c.name, err)
			return 2
		}
		fmt.Fprintf(stderr, "catalog %s: %v\n", c.name, err)
		return 1
	}
	fmt.Fprintf(stderr, "catalog: there is no command %q\n\n", args[0])
	help(stderr)
	return 2
}

func help(w io.Writer) {
	fmt.Fprint(w, "catalog is a product catalogue that is written hard and read harder.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  catalog %-12s %s\n", c.name, c.about)
	}
	fmt.Fprint(w, "\ncatalog COMMAND -h explains a command. Flags are also environment variables:\n-kafka.brokers is $CATALOG_KAFKA_BROKERS.\n")
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func wrongUsage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// flags makes the flag set of a subcommand. manual is its usage line and what
// there is to know.
func flags(name, manual string) *flag.FlagSet {
	fs := flag.NewFlagSet("catalog "+name, flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: catalog %s\n\n", strings.TrimSpace(manual))
		daemon.PrintFlags(fs)
	}
	return fs
}

// parse parses the flags; what is wrong with them is a usage error.
func parse(fs *flag.FlagSet, args []string) error {
	err := daemon.Parse(fs, args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return &usageError{err}
	}
	return err
}
