// Command scale prints the capacity model of docs/scale.md, and checks the
// simulator of the write path against the real one.
//
//	go run ./test/scale            print the table of the model
//	go run ./test/scale -measure   compare the simulator with writers on real engines (3 minutes)
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
)

func main() {
	measure := flag.Bool("measure", false, "compare the simulator with writers on the engines of .engines/env")
	flag.Parse()
	if !*measure {
		printModel(os.Stdout, measured)
		return
	}
	if err := compare(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}
