package daemon

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// Parse sets the flags of fs from args, and flags that args does not contain from the
// environment: -kafka.brokers from $CATALOG_KAFKA_BROKERS. Errors name the flag or
// variable. After -h Parse calls fs.Usage and returns flag.ErrHelp. The flags -healthcheck
// and -version, which are no settings, have no variable.
func Parse(fs *flag.FlagSet, args []string) error {
	fs.Init(fs.Name(), flag.ContinueOnError)
	out, usage := fs.Output(), fs.Usage
	fs.SetOutput(io.Discard) // the caller prints the error; package flag would print it, too
	fs.Usage = func() {}
	err := fs.Parse(args)
	fs.SetOutput(out)
	fs.Usage = usage
	if errors.Is(err, flag.ErrHelp) {
		fs.Usage()
		return err
	}
	if err != nil {
		return fmt.Errorf("%w; see %s -h", err, fs.Name())
	}
	set := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { set[f.Name] = true })
	fs.VisitAll(func(f *flag.Flag) {
		value, ok := os.LookupEnv(EnvName(f.Name))
		if err != nil || !ok || set[f.Name] || isAction(f.Name) {
			return
		}
		if e := f.Value.Set(value); e != nil {
			err = fmt.Errorf("invalid value %q of $%s: %w", value, EnvName(f.Name), e)
		}
	})
	return err
}

// EnvName returns the environment variable of a flag: CATALOG_KAFKA_BROKERS for
// kafka.brokers.
func EnvName(flagName string) string {
	return "CATALOG_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(flagName))
}

// PrintFlags writes the flags of fs, with their environment variables and defaults, to
// fs.Output: first those without a dot in their name, then, under a heading, the flags of
// each engine or part.
func PrintFlags(fs *flag.FlagSet) {
	w := fs.Output()
	groups := map[string][]*flag.Flag{}
	fs.VisitAll(func(f *flag.Flag) { groups[group(f.Name)] = append(groups[group(f.Name)], f) })
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		if name != "" {
			fmt.Fprintf(w, "\n%s:\n", name)
		}
		for _, f := range groups[name] {
			printFlag(w, f)
		}
	}
}

func printFlag(w io.Writer, f *flag.Flag) {
	name, usage := flag.UnquoteUsage(f)
	fmt.Fprintf(w, "  %s\n    \t%s", strings.TrimSpace("-"+f.Name+" "+name), strings.ReplaceAll(usage, "\n", "\n    \t"))
	if f.DefValue != "" && f.DefValue != "false" {
		fmt.Fprintf(w, " (default %s)", f.DefValue)
	}
	if !isAction(f.Name) {
		fmt.Fprintf(w, " [$%s]", EnvName(f.Name))
	}
	fmt.Fprintln(w)
}
