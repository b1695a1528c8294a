package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/engine/enginetest/freeport"
	"catalog/internal/daemon"
	"catalog/internal/wire"
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

// TestScripts runs the scripts in testdata, which call the program as users do. $HTTP,
// $GRPC and $ADMIN are unused addresses, and the defaults of all commands. Scripts have
// these commands:
//
//	eventually PATTERN COMMAND …  repeats COMMAND until it succeeds and its output matches
//	id NAME                       sets $NAME to the id printed by the last command
//	broker                        starts a Kafka broker and sets $BROKER to its address
//	append PARTITION VALUE        appends a record to the broker's commands topic
//	misplaced PARTITION NAME      appends a command to PARTITION that belongs to another
//	                              one, and sets $NAME to the id of its product
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"HTTP", "GRPC", "ADMIN"} {
				e.Setenv(name, freeport.Address())
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
						ts.Fatalf("no output matches %q after 20 s", pattern)
					}
					<-time.After(20 * time.Millisecond)
				}
			},
			"broker": func(ts *testscript.TestScript, _ bool, _ []string) {
				c, err := kfake.NewCluster(kfake.NumBrokers(1))
				ts.Check(err)
				ts.Defer(c.Close)
				ts.Setenv("BROKER", c.ListenAddrs()[0])
			},
			"append": func(ts *testscript.TestScript, _ bool, args []string) {
				appendRecord(ts, args[0], nil, []byte(args[1]))
			},
			"misplaced": func(ts *testscript.TestScript, _ bool, args []string) {
				c := catalog.Command{
					ID: catalog.DerivedID("stray"), AcceptedAt: time.Now(),
					Op: catalog.CreateProduct{Data: catalog.ProductData{Name: "Stray chair", Price: catalog.Money{Decimal: catalog.Decimal{Units: 5}, Currency: "EUR"}}},
				}
				for i := 0; i == 0 || fmt.Sprint(catalog.Shard(c.Product, 2)) == args[0]; i++ {
					c.Product = catalog.DerivedID("stray", fmt.Sprint(i))
				}
				value, err := wire.EncodeCommand(c)
				ts.Check(err)
				appendRecord(ts, args[0], c.Product[:], value)
				ts.Setenv(args[1], c.Product.String())
			},
			"id": func(ts *testscript.TestScript, _ bool, args []string) {
				var label, id string
				if _, err := fmt.Sscan(ts.ReadFile("stdout"), &label, &id); err != nil || label != "id" {
					ts.Fatalf("the output does not begin with an id")
				}
				ts.Setenv(args[0], id)
			},
		},
	})
}

// appendRecord appends a record to the commands topic of the script's broker.
func appendRecord(ts *testscript.TestScript, partition string, key, value []byte) {
	n, err := strconv.Atoi(partition)
	ts.Check(err)
	c, err := kgo.NewClient(kgo.SeedBrokers(ts.Getenv("BROKER")), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	ts.Check(err)
	defer c.Close()
	ts.Check(c.ProduceSync(context.Background(), &kgo.Record{Topic: "catalog.commands", Partition: int32(n), Key: key, Value: value}).FirstErr())
}
