package postgres_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"catalog"
	"catalog/engine/postgres"
)

// unusedAddress returns an address on which no server listens.
func unusedAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestOpen_errors(t *testing.T) {
	t.Parallel()
	address := unusedAddress(t)
	for url, want := range map[string]string{
		"":                                 "-postgres.url is missing",
		"postgres://a:secret@h:notaport/d": "-postgres.url",
		"postgres://a:secret@" + address + "/shop?sslmode=disable": "PostgreSQL at " + address + ", database shop",
	} {
		for name, call := range map[string]func() error{
			"Open": func() error {
				_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
				return err
			},
			"Migrate": func() error { return postgres.Migrate(t.Context(), url, nil) },
		} {
			t.Run(name+" of "+strings.ReplaceAll(url, "/", "_")+" names the problem in one line", func(t *testing.T) {
				err := call()
				switch {
				case err == nil:
					t.Error("nil; want an error")
				case !strings.Contains(err.Error(), want), strings.Contains(err.Error(), "\n"), strings.Contains(err.Error(), "secret"):
					t.Errorf("%q; want one line with %q and without the password", err, want)
				case strings.Contains(url, address) && !errors.Is(err, catalog.ErrUnavailable):
					t.Errorf("%v; want ErrUnavailable", err)
				}
			})
		}
	}
}
