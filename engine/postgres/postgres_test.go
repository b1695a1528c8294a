package postgres_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"catalog"
	"catalog/engine/postgres"
)

func TestOpenSaysInOneLineWhatIsWrong(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nobody.Addr().String()
	nobody.Close()
	for url, want := range map[string]string{
		"":                                 "-postgres.url is missing",
		"postgres://a:secret@h:notaport/d": "-postgres.url",
		"postgres://a:secret@" + address + "/shop?sslmode=disable": "PostgreSQL at " + address + ", database shop",
	} {
		for what, open := range map[string]func() error{
			"Open": func() error {
				_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
				return err
			},
			"Migrate": func() error { return postgres.Migrate(t.Context(), url) },
		} {
			err := open()
			switch {
			case err == nil:
				t.Errorf("%s(%s) is no error", what, url)
			case !strings.Contains(err.Error(), want), strings.Contains(err.Error(), "\n"), strings.Contains(err.Error(), "secret"):
				t.Errorf("%s(%s) = %q; want one line with %q and without the password", what, url, err, want)
			case strings.Contains(url, address) && !errors.Is(err, catalog.ErrUnavailable):
				t.Errorf("%s(%s) = %v; want ErrUnavailable", what, url, err)
			}
		}
	}
}
