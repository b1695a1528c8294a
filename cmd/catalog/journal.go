package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"catalog"
	"catalog/cmd/internal/program"
	"catalog/internal/archive"
	"catalog/internal/daemon"
	"catalog/internal/engines/local"
)

const journalManual = `journal ACTION

  catalog journal archive -to DIR (-keep DURATION | -before TIME) [-yes]
                                     move old events to files; without -yes, print what would be moved
  catalog journal read [-product ID] [-command ID] [-check] DIR|FILE...
                                     print archived events as NDJSON, and check the files

catalog journal ACTION -h explains an action.
`

// journalCommand runs catalog journal.
func journalCommand(ctx context.Context, args []string) error {
	actions := map[string]func(context.Context, []string) error{"archive": archiveJournal, "read": readArchive}
	if len(args) > 0 {
		if run := actions[args[0]]; run != nil {
			return run(ctx, args[1:])
		}
	}
	fs := flags("journal", journalManual)
	if err := parse(fs, args); err != nil {
		return err
	}
	return wrongUsage("give an action: archive or read")
}

const archiveManual = `journal archive -to DIR (-keep DURATION | -before TIME) [-yes] [-data DIR] [-kafka.brokers ADDRESSES] [-postgres.url URL]

Writes the events of the journal that are older than a duration or a time to files
in DIR, checks the files, and removes the events from the journal. Services may run
meanwhile, except those that use the data folder. If it is interrupted, run it again.

An event is kept when it may not be in the events topic yet, and when it is younger
than -min-keep. What is no longer possible without an event: the history and the old
versions of products show what is left; a request that is repeated with the same
Idempotency-Key takes effect again; and clients that follow changes cannot continue
from a position that is older.
`

// defaultMinKeep is a day longer than the topics keep records: catalog repair can
// make writers read the commands topic again from its start, and the journal then
// shows which of its commands are settled.
const defaultMinKeep = 8 * 24 * time.Hour

func archiveJournal(ctx context.Context, args []string) error {
	var (
		cfg           local.Config
		dir, before   string
		keep, minKeep time.Duration
		yes           bool
	)
	fs := flags("journal archive", archiveManual)
	fs.StringVar(&dir, "to", "", "`folder` of the files; it is created")
	fs.DurationVar(&keep, "keep", 0, "`duration` for which events stay in the journal, such as 2160h for 90 days")
	fs.StringVar(&before, "before", "", "`time` of RFC 3339, such as 2026-03-01T00:00:00Z: events before it are archived")
	fs.DurationVar(&minKeep, "min-keep", defaultMinKeep, "minimum of -keep: at least as long as the topics keep records, and clients repeat requests")
	fs.BoolVar(&yes, "yes", false, "do it, instead of printing what would be done")
	cfg.StoreFlags(fs)
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	now := time.Now()
	limit := now.Add(-keep)
	switch {
	case dir == "" && yes:
		return wrongUsage("give the folder of the files with -to")
	case (keep == 0) == (before == ""):
		return wrongUsage("give either -keep or -before")
	case before != "":
		var err error
		if limit, err = time.Parse(time.RFC3339, before); err != nil {
			return wrongUsage("-before must be a time of RFC 3339, such as 2026-03-01T00:00:00Z")
		}
	}
	if now.Sub(limit) < minKeep {
		return wrongUsage("events younger than %s stay in the journal: the topics may still have their commands; choose an earlier time, or lower -min-keep if your topics keep records for less time", minKeep)
	}
	p, err := program.Open(ctx, "journal", program.Config{Secrets: daemon.FindSecrets(os.Args[1:], os.Environ())}, os.Stderr)
	if err != nil {
		return err
	}
	defer p.Close()
	store, err := local.OpenJournal(ctx, p.Engines, cfg)
	if err != nil {
		return asUsage(err)
	}
	ranges, err := archive.Examine(ctx, store, limit)
	if err != nil {
		return err
	}
	total := 0
	for _, r := range ranges {
		total += r.Events()
	}
	if !yes || total == 0 {
		return printRanges(os.Stdout, ranges, total, limit)
	}
	written, removed := newProgress(os.Stderr, "archive", total), 0
	err = archive.Run(ctx, store, dir, ranges, func(w, r int) {
		written.add(w)
		removed += r
	})
	written.done()
	fmt.Printf("%d events before %s are in %s and no longer in the journal\n", removed, limit.UTC().Format(time.RFC3339), dir)
	return err
}

// printRanges prints the ranges that would be archived.
func printRanges(out io.Writer, ranges []archive.Range, total int, limit time.Time) error {
	if total == 0 {
		fmt.Fprintf(out, "no events before %s can be archived\n", limit.UTC().Format(time.RFC3339))
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SHARD\tFROM\tTO\tEVENTS")
	for _, r := range ranges {
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\n", r.Shard, r.From, r.To, r.Events())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d events before %s would be archived; add -yes to do it\n", total, limit.UTC().Format(time.RFC3339))
	return nil
}

const readManual = `journal read [-product ID] [-command ID] [-check] DIR|FILE...

Prints the events in files that catalog journal archive wrote, one JSON object a line,
in the order of shards and seqs. It checks the files; if one is incomplete or was
changed, it says so after the events of that file and ends with an error.
`

func readArchive(_ context.Context, args []string) error {
	var (
		product, command string
		onlyCheck        bool
	)
	fs := flags("journal read", readManual)
	fs.StringVar(&product, "product", "", "only events of the product with this `id`")
	fs.StringVar(&command, "command", "", "only the event of the command with this `id`")
	fs.BoolVar(&onlyCheck, "check", false, "print no events, only check the files")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return wrongUsage("give the files, or their folder")
	}
	var texts []string
	for name, id := range map[string]string{"product": product, "command": command} {
		if id == "" {
			continue
		}
		parsed, err := catalog.ParseID(id)
		if err != nil {
			return wrongUsage("-%s: %w", name, err)
		}
		texts = append(texts, fmt.Sprintf("%q:%q", name, parsed))
	}
	var paths []string
	for _, path := range fs.Args() {
		if info, err := os.Stat(path); err != nil {
			return err
		} else if !info.IsDir() {
			paths = append(paths, path)
			continue
		}
		files, err := archive.Files(path)
		if err != nil {
			return err
		}
		paths = append(paths, files...)
	}
	var to io.Writer = os.Stdout
	if onlyCheck {
		to = io.Discard
	}
	out := bufio.NewWriter(to)
	var failed error
	for _, path := range paths {
		if err := archive.Print(out, path, texts...); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if onlyCheck && failed == nil {
		fmt.Printf("%d files are complete\n", len(paths))
	}
	return errors.Join(failed, out.Flush())
}
