package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"catalog/cmd/internal/program"
	"catalog/internal/daemon"
	"catalog/internal/engines/local"
	"catalog/internal/repair"
)

const repairManual = `repair [-dry-run] [-yes] [-ignore-events] [-data DIR] [-kafka.brokers ADDRESSES] [-postgres.url URL]

Compares the store with the topics, lists the inconsistencies, and repairs the store
once you agree. Run it after a topic was recreated or lost records, after the store was
restored from a backup, or after another program has written to the events topic. No
process may have the data folder open.
`

// repairStore runs catalog repair.
func repairStore(ctx context.Context, args []string) error {
	var (
		cfg      local.Config
		options  repair.Options
		dry, yes bool
	)
	fs := flags("repair", repairManual)
	fs.BoolVar(&dry, "dry-run", false, "only list the inconsistencies and what would be done")
	fs.BoolVar(&yes, "yes", false, "do not ask for confirmation")
	fs.BoolVar(&options.IgnoreEvents, "ignore-events", false, "ignore events that the store lacks and that may be those of a newer store: there is no newer backup, or the events are forged")
	cfg.StoreFlags(fs)
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	p, err := program.Open(ctx, "repair", program.Config{Secrets: daemon.FindSecrets(os.Args[1:], os.Environ())}, os.Stderr)
	if err != nil {
		return err
	}
	defer p.Close()
	log, store, err := local.OpenStore(ctx, p.Engines, cfg)
	if err != nil {
		return asUsage(err)
	}
	plan, err := repair.Examine(ctx, store, log, options)
	if err != nil {
		return err
	}
	if len(plan.Findings) == 0 {
		fmt.Println("store and topics are consistent; there is nothing to repair")
		return nil
	}
	if err := printFindings(os.Stdout, plan.Findings); err != nil || dry {
		return err
	}
	if !yes && !confirm(os.Stdin, os.Stdout) {
		return errors.New("nothing was changed")
	}
	if err := plan.Apply(ctx, store, log); err != nil {
		return err
	}
	fmt.Println("repaired; restart services that stopped because a topic was recreated; other services continue by themselves")
	return nil
}

// asUsage returns the error of opening a store: a missing data folder is a wrong
// command line.
func asUsage(err error) error {
	if errors.Is(err, local.ErrNoFolder) {
		return wrongUsage("%w", err)
	}
	return err
}

// confirm asks whether to continue.
func confirm(in io.Reader, out io.Writer) bool {
	fmt.Fprint(out, "\nRepair the store? [y/N] ")
	reply, _ := bufio.NewReader(in).ReadString('\n')
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(reply)))
}

func printFindings(out io.Writer, findings []repair.Finding) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WHERE\tPROBLEM\tREMEDY\tLOST")
	for _, f := range findings {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Where, f.Problem, f.Remedy, cmp.Or(f.Lost, "nothing"))
	}
	return table.Flush()
}
