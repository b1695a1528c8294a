package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

func verify(ctx context.Context, args []string) error {
	var readers string
	var repair bool
	fs := flags("verify", `verify [flags]

Compares the view, the cache and the search index with the store, product by product,
while writes continue. Changes that are not yet applied do not count as differences. A
reader compares its own index, and view and cache for the shards assigned to it, so
-reader must list all readers.

With -repair, differences are repaired. The exit code is 0 if everything is equal or was
repaired, else 1.
`)
	readersFlag(fs, &readers)
	fs.BoolVar(&repair, "repair", false, "repair differences")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	return runVerify(ctx, readers, repair, os.Stdout, os.Stderr)
}

func runVerify(ctx context.Context, readers string, repair bool, out, status io.Writer) error {
	stores := map[string]*comparison{}
	err := eachReader(readers, func(_ string, c catalogv1.ReaderServiceClient) error {
		stream, err := c.Verify(ctx, &catalogv1.VerifyRequest{Repair: repair})
		if err != nil {
			return err
		}
		bars := jobProgress{out: status}
		defer bars.done()
		return receive(stream, func(m *catalogv1.VerifyResponse) {
			switch u := m.Update.(type) {
			case *catalogv1.VerifyResponse_Progress:
				bars.show("compare "+u.Progress.Step, u.Progress)
			case *catalogv1.VerifyResponse_Difference:
				bars.done()
				printDifference(out, u.Difference)
			case *catalogv1.VerifyResponse_Comparison:
				s := stores[u.Comparison.Store]
				if s == nil {
					s = &comparison{shards: map[int32]bool{}}
					stores[u.Comparison.Store] = s
				}
				s.add(u.Comparison)
			}
		})
	})
	if err != nil {
		return err
	}
	return summarize(out, stores)
}

// comparison is the result of all readers for one store: view, cache or index.
type comparison struct {
	shards                        map[int32]bool // shards that were compared
	ofShards                      int32
	products, differing, repaired int64
}

func (s *comparison) add(c *catalogv1.Comparison) {
	s.ofShards = c.GetOfShards()
	s.products = max(s.products, c.GetProducts())
	s.differing += c.GetDiffering()
	s.repaired += c.GetRepaired()
	for _, shard := range c.GetShards() {
		s.shards[shard] = true
	}
}

// summarize prints one line. It returns an error if a store differs, or if shards of a
// store were not compared.
func summarize(out io.Writer, stores map[string]*comparison) error {
	var (
		words    []string
		open     []error
		products int64 // number in the index, which has all products and no deleted ones
	)
	for _, name := range []string{"view", "cache", "index"} {
		s := stores[name]
		if s == nil { // as when the readers have no cache
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
			open = append(open, fmt.Errorf("%d products of the %s differ from the store; catalog verify -repair repairs them", s.differing-s.repaired, name))
		}
		if missing := int(s.ofShards) - len(s.shards); missing > 0 {
			open = append(open, fmt.Errorf("%d of %d shards of the %s were not compared; list every reader in -reader, and retry if one just joined or left", missing, s.ofShards, name))
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
	got, want := versionText(d.GetGot()), versionText(d.GetWant())
	if got == want {
		got = "another " + got
	}
	fmt.Fprintf(out, "%s: product %s (shard %d) is %s, and should be %s%s\n", d.GetStore(), id, d.GetShard(), got, want, end)
}

func versionText(p *catalogv1.Product) string {
	switch {
	case p.GetVersion() == 0:
		return "missing"
	case p.GetDeleted():
		return fmt.Sprintf("deleted at version %d", p.GetVersion())
	}
	return fmt.Sprintf("version %d", p.GetVersion())
}
