package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/status"

	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/rpc"
	"catalog/internal/wire"
)

func verify(ctx context.Context, args []string) error {
	var readers string
	var repair bool
	fs := flags("verify", `verify [flags]

Compares the view, the cache and the search index with the truth, product by
product, while writes go on. What is only late is no difference. Each reader
compares its own index, and view and cache in the shards that it keeps: name all
readers.

With -repair, what differs is made right. The exit code is 0 when all is equal, or
has been made so, else 1.
`)
	readersFlag(fs, &readers)
	fs.BoolVar(&repair, "repair", false, "make right what differs")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return wrongUsage("%q is not a flag; see catalog verify -h", fs.Arg(0))
	}
	return runVerify(ctx, strings.Split(readers, ","), repair, os.Stdout, os.Stderr)
}

func readersFlag(fs *flag.FlagSet, to *string) {
	fs.StringVar(to, "reader", "127.0.0.1:8082", "`addresses` of the readers' gRPC, separated by commas")
}

// eachReader calls do with a client of each of the readers.
func eachReader(readers []string, do func(address string, c catalogv1.ReaderServiceClient) error) error {
	reg := prometheus.NewRegistry()
	for _, address := range readers {
		conn, err := rpc.Dial(address, reg)
		if err != nil {
			return err
		}
		err = do(address, catalogv1.NewReaderServiceClient(conn))
		conn.Close()
		if err != nil {
			if s, ok := status.FromError(err); ok {
				err = errors.New(s.Message())
			}
			return fmt.Errorf("reader %s: %w", address, err)
		}
	}
	return nil
}

// compared is what all readers together say of a store.
type compared struct {
	shards                        map[int32]bool
	of                            int32
	products, differing, repaired int64
}

func runVerify(ctx context.Context, readers []string, repair bool, out, progress io.Writer) error {
	stores := map[string]*compared{}
	err := eachReader(readers, func(_ string, c catalogv1.ReaderServiceClient) error {
		stream, err := c.Verify(ctx, &catalogv1.VerifyRequest{Repair: repair})
		if err != nil {
			return err
		}
		var bars steps
		defer bars.done()
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			switch n := m.Update.(type) {
			case *catalogv1.VerifyResponse_Progress:
				bars.show(progress, "compare "+n.Progress.Step, n.Progress)
			case *catalogv1.VerifyResponse_Difference:
				bars.done()
				printDifference(out, n.Difference)
			case *catalogv1.VerifyResponse_Comparison:
				s := stores[n.Comparison.Store]
				if s == nil {
					s = &compared{shards: map[int32]bool{}}
					stores[n.Comparison.Store] = s
				}
				s.add(n.Comparison)
			}
		}
	})
	if err != nil {
		return err
	}
	return summary(out, stores)
}

func (s *compared) add(c *catalogv1.Comparison) {
	s.of = c.GetOfShards()
	s.products = max(s.products, c.GetProducts())
	s.differing += c.GetDiffering()
	s.repaired += c.GetRepaired()
	for _, shard := range c.GetShards() {
		s.shards[shard] = true
	}
}

// summary prints one line, and is an error when something is not known to be
// equal.
func summary(out io.Writer, stores map[string]*compared) error {
	var (
		words    []string
		open     []error
		products int64 // of which the index of each reader has all, and no tombstones
	)
	for _, name := range []string{"view", "cache", "index"} {
		s := stores[name]
		if s == nil { // there may be no cache
			continue
		}
		products = s.products
		switch s.differing {
		case 0:
			words = append(words, name+" equal")
		case s.repaired:
			words = append(words, fmt.Sprintf("%s repaired in %d", name, s.repaired))
		default:
			words = append(words, fmt.Sprintf("%s differs in %d", name, s.differing-s.repaired))
			open = append(open, fmt.Errorf("%d products of the %s differ from the truth; catalog verify -repair makes them right", s.differing-s.repaired, name))
		}
		if missing := int(s.of) - len(s.shards); missing > 0 {
			open = append(open, fmt.Errorf("%d of %d shards of the %s were compared by nobody; name all readers with -reader, and come again if one has just come or gone", missing, s.of, name))
		}
	}
	fmt.Fprintf(out, "%d products: %s\n", products, strings.Join(words, ", "))
	return errors.Join(open...)
}

func printDifference(out io.Writer, d *catalogv1.Difference) {
	var end string
	if d.GetRepaired() {
		end = "; repaired"
	}
	id, err := wire.IDFromProto(d.GetWant().GetId())
	if err != nil {
		fmt.Fprintf(out, "%s: %v\n", d.GetStore(), err)
		return
	}
	has, want := state(d.GetGot()), state(d.GetWant())
	if has == want {
		has = "another " + has
	}
	fmt.Fprintf(out, "%s: product %s (shard %d) is %s, and should be %s%s\n", d.GetStore(), id, d.GetShard(), has, want, end)
}

// state says in a few words how a product is.
func state(p *catalogv1.Product) string {
	switch {
	case p.GetVersion() == 0:
		return "not there"
	case p.GetDeleted():
		return fmt.Sprintf("deleted at version %d", p.GetVersion())
	}
	return fmt.Sprintf("version %d", p.GetVersion())
}

// steps shows the progress of one step after the other.
type steps struct {
	step  string
	bar   *progress
	shown int64
}

func (s *steps) show(out io.Writer, name string, p *catalogv1.JobProgress) {
	if s.bar == nil || s.step != name {
		s.done()
		s.step, s.bar, s.shown = name, newProgress(out, name, int(p.GetOf())), 0
	}
	s.bar.add(int(p.GetProducts() - s.shown))
	s.shown = p.GetProducts()
}

func (s *steps) done() {
	if s.bar != nil {
		s.bar.done()
		s.bar = nil
	}
}
