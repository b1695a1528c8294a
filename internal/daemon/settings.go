package daemon

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

// Parse sets the flags of fs from args, and those that args does not name from
// the environment: -kafka.brokers from CATALOG_KAFKA_BROKERS. Whatever is
// wrong, the error says in which flag or variable. It is flag.ErrHelp after
// -h, when fs.Usage has printed the manual.
func Parse(fs *flag.FlagSet, args []string) error {
	fs.Init(fs.Name(), flag.ContinueOnError)
	out, usage := fs.Output(), fs.Usage
	fs.SetOutput(nullWriter{}) // the caller prints the error, once
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
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	fs.VisitAll(func(f *flag.Flag) {
		value, ok := os.LookupEnv(EnvName(f.Name))
		if err != nil || !ok || given[f.Name] {
			return
		}
		if e := f.Value.Set(value); e != nil {
			err = fmt.Errorf("invalid value %q of $%s: %w", value, EnvName(f.Name), e)
		}
	})
	return err
}

// Variable is the environment variable that stands for a flag.
func EnvName(flagName string) string {
	return "CATALOG_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(flagName))
}

// Manual prints the flags of fs with their variables and defaults.
func PrintFlags(fs *flag.FlagSet) {
	w := fs.Output()
	fs.VisitAll(func(f *flag.Flag) {
		name, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  -%s %s\n    \t%s", f.Name, name, strings.ReplaceAll(usage, "\n", "\n    \t"))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintf(w, " [$%s]\n", EnvName(f.Name))
	})
}

type nullWriter struct{}

func (nullWriter) Write(p []byte) (int, error) { return len(p), nil }
