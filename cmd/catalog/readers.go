package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/rpc"
)

func readersFlag(fs *flag.FlagSet, to *string) {
	fs.StringVar(to, "reader", "127.0.0.1:8082", "gRPC `addresses` of all readers, separated by commas")
}

// eachReader calls do with a client for each of the comma-separated addresses.
func eachReader(addresses string, do func(address string, c catalogv1.ReaderServiceClient) error) error {
	reg := prometheus.NewRegistry()
	for address := range strings.SplitSeq(addresses, ",") {
		// Operators call readers also while these are not ready.
		conn, err := rpc.Dial(address, reg, grpc.WithDisableHealthCheck())
		if err != nil {
			return err
		}
		err = do(address, catalogv1.NewReaderServiceClient(conn))
		conn.Close()
		if err != nil {
			if _, ok := status.FromError(err); ok {
				err = callError{err}
			}
			return fmt.Errorf("reader %s: %w", address, err)
		}
	}
	return nil
}

// receive calls handle with each message of a stream until it ends.
func receive[M any](stream interface{ Recv() (M, error) }, handle func(M)) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		handle(m)
	}
}

// jobProgress shows the progress of a reader's job, one step after the other.
type jobProgress struct {
	out   io.Writer
	step  string
	bar   *progress // progress of the current step, or nil
	shown int64
}

func (j *jobProgress) show(step string, p *catalogv1.JobProgress) {
	if j.bar == nil || j.step != step {
		j.done()
		j.step, j.bar, j.shown = step, newProgress(j.out, step, int(p.GetOf())), 0
	}
	j.bar.add(int(p.GetProducts() - j.shown))
	j.shown = p.GetProducts()
}

func (j *jobProgress) done() {
	if j.bar != nil {
		j.bar.done()
		j.bar = nil
	}
}
