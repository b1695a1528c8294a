package daemon_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"catalog/internal/daemon"
)

func TestParse(t *testing.T) {
	parse := func(args ...string) (string, error) {
		fs := flag.NewFlagSet("test", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		brokers := fs.String("kafka.brokers", "default", "")
		fs.Duration("shutdown-timeout", time.Second, "")
		err := daemon.Parse(fs, args)
		return *brokers, err
	}
	t.Run("a variable sets a flag that is not on the command line", func(t *testing.T) {
		t.Setenv("CATALOG_KAFKA_BROKERS", "from-environment")
		if got, err := parse(); got != "from-environment" || err != nil {
			t.Fatalf("-kafka.brokers = %q, %v; want from-environment", got, err)
		}
	})
	t.Run("a flag takes precedence over its variable", func(t *testing.T) {
		t.Setenv("CATALOG_KAFKA_BROKERS", "from-environment")
		if got, err := parse("-kafka.brokers", "from-flag"); got != "from-flag" || err != nil {
			t.Fatalf("-kafka.brokers = %q, %v; want from-flag", got, err)
		}
	})
	t.Run("an invalid variable is named", func(t *testing.T) {
		t.Setenv("CATALOG_SHUTDOWN_TIMEOUT", "soon")
		if _, err := parse(); err == nil || !strings.Contains(err.Error(), "CATALOG_SHUTDOWN_TIMEOUT") {
			t.Fatalf("Parse = %v; want an error that names CATALOG_SHUTDOWN_TIMEOUT", err)
		}
	})
	t.Run("a flag that is no setting has no variable", func(t *testing.T) {
		t.Setenv("CATALOG_VERSION", "1.2.3")
		fs := flag.NewFlagSet("test", flag.ContinueOnError)
		version := fs.Bool("version", false, "")
		if err := daemon.Parse(fs, nil); err != nil || *version {
			t.Fatalf("Parse with $CATALOG_VERSION = %v and -version %v; want nil, false", err, *version)
		}
	})
	t.Run("an unknown flag is named", func(t *testing.T) {
		if _, err := parse("-nonsense"); err == nil || !strings.Contains(err.Error(), "nonsense") {
			t.Fatalf("Parse = %v; want an error that names the flag", err)
		}
	})
}

func TestPrintFlags(t *testing.T) {
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	var out bytes.Buffer
	fs.SetOutput(&out)
	fs.Usage = func() { daemon.PrintFlags(fs) }
	fs.String("kafka.brokers", "127.0.0.1:9092", "`addresses` of the brokers")
	fs.Bool("json", false, "print JSON")
	fs.Bool("version", false, "print the version")
	if err := daemon.Parse(fs, []string{"-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("Parse = %v; want ErrHelp", err)
	}
	const want = `  -json
    	print JSON [$CATALOG_JSON]
  -version
    	print the version

kafka:
  -kafka.brokers addresses
    	addresses of the brokers (default 127.0.0.1:9092) [$CATALOG_KAFKA_BROKERS]
`
	if out.String() != want {
		t.Fatalf("-h prints\n%s\nwant\n%s", out.String(), want)
	}
}
