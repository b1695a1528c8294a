// Command catalog runs the whole system in one process (catalog up), and is the command
// line for this system and for one whose services run elsewhere.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"catalog/internal/buildinfo"
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
		{"import", "create and change products from a CSV or NDJSON file", importFile},
		{"export", "write all products to a CSV or NDJSON file", exportFile},
		{"product", "read, search and write products", product},
		{"verify", "compare view, cache and search index with the store", verify},
		{"rebuild", "rebuild view and search index from the store", rebuild},
		{"dead-letters", "list, show and replay dead letters", deadLetters},
		{"repair", "make store and topics consistent after a loss or a restore", repairStore},
		{"journal", "move old events of the journal to files, and read these", journalCommand},
		{"migrate", "create or update the topics and tables of real engines", migrate},
		{"version", "print the version", printVersion},
	}
}

func main() {
	ctx, stop := daemon.Signals(context.Background())
	defer stop()
	daemon.PrivateFiles()
	os.Exit(run(ctx, os.Args[1:], os.Stderr))
}

// run runs the subcommand, prints its error on one line and returns the exit code.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	if len(args) == 0 || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help" {
		if len(args) == 0 {
			help(stderr)
			return exitUsage
		}
		help(os.Stdout)
		return 0
	}
	if args[0] == "-version" || args[0] == "--version" {
		args[0] = "version"
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, args[1:])
		code := exitCode(err)
		if code != 0 {
			fmt.Fprintf(stderr, "catalog %s: %s\n", c.name, daemon.FindSecrets(args, os.Environ()).Hide(err.Error()))
		}
		return code
	}
	fmt.Fprintf(stderr, "catalog: there is no command %q\n\n", args[0])
	help(stderr)
	return exitUsage
}

func help(w io.Writer) {
	fmt.Fprint(w, "catalog is a product catalogue with separate write and read sides (CQRS).\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  catalog %-12s %s\n", c.name, c.about)
	}
	fmt.Fprint(w, "\ncatalog COMMAND -h explains a command. Each flag is also an environment variable:\n-kafka.brokers is $CATALOG_KAFKA_BROKERS. docs/errors.md lists the exit codes.\n")
}

func printVersion(context.Context, []string) error {
	_, err := fmt.Println("catalog", buildinfo.Read())
	return err
}

// usageError is the error of a command line that is not valid.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func wrongUsage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// flags returns the flag set of a subcommand. manual is its usage line and description,
// for -h.
func flags(name, manual string) *flag.FlagSet {
	fs := flag.NewFlagSet("catalog "+name, flag.ContinueOnError)
	fs.SetOutput(os.Stdout) // for the text of -h; run prints errors
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: catalog %s\n\n", strings.TrimSpace(manual))
		daemon.PrintFlags(fs)
	}
	return fs
}

// parse parses args. An invalid flag is a usage error.
func parse(fs *flag.FlagSet, args []string) error {
	err := daemon.Parse(fs, args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return &usageError{err}
	}
	return err
}

// parseFlags parses args, which must contain nothing but flags.
func parseFlags(fs *flag.FlagSet, args []string) error {
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return wrongUsage("%q is not a flag; see %s -h", fs.Arg(0), fs.Name())
	}
	return nil
}
