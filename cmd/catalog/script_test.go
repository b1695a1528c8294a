package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"catalog/daemon"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"catalog": func() {
			ctx, stop := daemon.Signals(context.Background())
			defer stop()
			os.Exit(run(ctx, os.Args[1:], os.Stderr))
		},
	})
}

// TestScripts runs what people type. In a script $HTTP, $GRPC and $ADMIN are addresses
// that nobody listens on, and the default of every command. `eventually
// PATTERN COMMAND …` repeats the command until it succeeds and answers what the
// pattern matches; `id NAME` keeps the id that was printed as $NAME.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"HTTP", "GRPC", "ADMIN"} {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				defer l.Close()
				e.Setenv(name, l.Addr().String())
			}
			e.Setenv("CATALOG_SERVER", "http://"+e.Getenv("HTTP"))
			for _, flag := range []string{"CATALOG_GRPC", "CATALOG_WRITER", "CATALOG_READER"} {
				e.Setenv(flag, e.Getenv("GRPC"))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"eventually": func(ts *testscript.TestScript, _ bool, args []string) {
				pattern := regexp.MustCompile(args[0])
				deadline := time.Now().Add(20 * time.Second)
				for ts.Exec(args[1], args[2:]...) != nil || !pattern.MatchString(ts.ReadFile("stdout")) {
					if time.Now().After(deadline) {
						ts.Fatalf("after 20 s still nothing like %q", pattern)
					}
					<-time.After(20 * time.Millisecond)
				}
			},
			"id": func(ts *testscript.TestScript, _ bool, args []string) {
				var label, id string
				if _, err := fmt.Sscan(ts.ReadFile("stdout"), &label, &id); err != nil || label != "id" {
					ts.Fatalf("the answer begins with no id")
				}
				ts.Setenv(args[0], id)
			},
		},
	})
}
