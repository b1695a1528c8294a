package daemon

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// Parse sets the flags of fs from args, and flags that args does not contain from the
// environment: -kafka.brokers from $CATALOG_KAFKA_BROKERS. Errors name the flag or
// variable. After -h Parse calls fs.Usage and returns flag.ErrHelp.
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
		if err != nil || !ok || set[f.Name] {
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
// fs.Output.
func PrintFlags(fs *flag.FlagSet) {
	w := fs.Output()
	fs.VisitAll(func(f *flag.Flag) {
		name, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  %s\n    \t%s", strings.TrimSpace("-"+f.Name+" "+name), strings.ReplaceAll(usage, "\n", "\n    \t"))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintf(w, " [$%s]\n", EnvName(f.Name))
	})
}
