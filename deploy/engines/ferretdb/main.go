// Command ferretdb serves the MongoDB protocol on top of PostgreSQL, for tests on machines
// without MongoDB. It is a separate module, so that the catalogue does not depend on it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "`address` of the MongoDB protocol")
	url := flag.String("postgres", "", "`URL` of the PostgreSQL database")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	f, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{TCP: *listen}, Handler: "postgresql", PostgreSQLURL: *url,
	})
	if err == nil {
		err = f.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ferretdb:", err)
		os.Exit(1)
	}
}
