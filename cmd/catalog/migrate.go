package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"catalog/cmd/internal/program"
	"catalog/engine/kafka"
	"catalog/engine/postgres"
	"catalog/internal/daemon"
	"catalog/internal/engines"
	"catalog/internal/engines/store"
)

const migrateManual = `migrate [-dry-run] [-down [-lose-data]] -kafka.brokers ADDRESSES -postgres.url URL

Creates the topics and tables that are missing, and updates the tables. It may run
while services run, any number of times, and several times at once: one call
migrates, the others wait. If it is interrupted, run it again: it continues.

Then it looks through all products for texts of earlier versions that are not in the
form in which texts are stored now (Unicode's composed form; no invisible characters in
SKUs, categories, tags and names of attributes), and changes them by commands, as a
client would: a writer must run. Without one it says so, and the next run continues.

-dry-run prints the version of the tables, and what would be done to them, for how
long tables would be locked, and how much disk it needs. It does not look at topics.
-down undoes the last migration. Run it when the newer programs have been stopped.
`

// migrate runs catalog migrate.
func migrate(ctx context.Context, args []string) error {
	var (
		kafkaCfg            kafka.Config
		postgresCfg         postgres.Config
		dry, down, loseData bool
	)
	fs := flags("migrate", migrateManual)
	fs.BoolVar(&dry, "dry-run", false, "only print what would be done to the tables")
	fs.BoolVar(&down, "down", false, "undo the last migration of the tables")
	fs.BoolVar(&loseData, "lose-data", false, "with -down: also undo a migration by which data are lost")
	kafkaCfg.Flags(fs)
	postgresCfg.Flags(fs)
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	switch {
	case postgresCfg.URL == "" || kafkaCfg.Brokers == "" && !dry && !down:
		return wrongUsage("give -kafka.brokers and -postgres.url; catalog up without servers needs no migration")
	case dry && down:
		return wrongUsage("-dry-run and -down exclude each other")
	case loseData && !down:
		return wrongUsage("-lose-data belongs to -down")
	case dry:
		return planMigration(ctx, os.Stdout, postgresCfg.URL)
	case down:
		version, err := postgres.MigrateDown(ctx, postgresCfg.URL, loseData, printMigration)
		if err == nil {
			fmt.Println("postgres: tables are at version", version)
		}
		return err
	}
	p, err := program.Open(ctx, "migrate", program.Config{Secrets: daemon.FindSecrets(os.Args[1:], os.Environ())}, os.Stderr)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := postgres.Migrate(ctx, postgresCfg.URL, printMigration); err != nil {
		return err
	}
	fmt.Println("postgres: tables are up to date")
	log, err := engines.CreateKafka(ctx, p.Engines, kafkaCfg)
	if err != nil {
		return err
	}
	products, err := store.Open(ctx, p.Engines, postgresCfg)
	if err != nil {
		return err
	}
	if err := products.InitShards(ctx, log.Shards()); err != nil {
		return err
	}
	fmt.Printf("kafka: topics are up to date, with %d partitions\n", log.Shards())
	report := func(line string) { fmt.Println("products:", line) }
	changed, err := normalizer{products, log, log.Shards(), "catalog migrate", settleTimeout, report}.run(ctx)
	if changed > 0 {
		report(fmt.Sprintf("the texts of %d products are normalized", changed))
	}
	if errors.Is(err, errNotSettled) {
		report(fmt.Sprintf("%v; run catalog migrate again when writers run, to normalize the texts of the other products", errNotSettled))
		return nil
	}
	return err
}

// planMigration prints what a migration would do.
func planMigration(ctx context.Context, out io.Writer, url string) error {
	version, steps, err := postgres.PendingMigrations(ctx, url)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "postgres: tables are at version %d\n", version)
	for _, s := range steps {
		fmt.Fprintf(out, "version %d would:\n  - %s\n", s.Version, strings.ReplaceAll(s.Plan, "; ", "\n  - "))
	}
	if len(steps) == 0 {
		fmt.Fprintln(out, "nothing to do")
	}
	return nil
}

func printMigration(line string) { fmt.Fprintln(os.Stderr, "postgres:", line) }
