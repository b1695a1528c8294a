package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	catalogv1 "catalog/api/catalog/v1"
)

func rebuild(ctx context.Context, args []string) error {
	var readers string
	var view, index, back, forget bool
	fs := flags("rebuild", `rebuild [flags]

Makes the view and the search index anew from the truth, beside those that are in
use, while the system runs. The new ones are compared with the truth and then take
the place of the old ones; no read fails. Killed at any moment it does no harm:
start it again.

The old ones are kept and written too, so that -rollback can go back to them at once.
-drop-previous gives them up. The view is that of all readers; each has an index of its
own: name all readers. Where the index is in OpenSearch, it is that of all: name one.
`)
	readersFlag(fs, &readers)
	fs.BoolVar(&view, "view", false, "only the view")
	fs.BoolVar(&index, "index", false, "only the search indexes")
	fs.BoolVar(&back, "rollback", false, "go back to what was before the last rebuild")
	fs.BoolVar(&forget, "drop-previous", false, "give up what was before the last rebuild")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return wrongUsage("%q is not a flag; see catalog rebuild -h", fs.Arg(0))
	}
	do, done := catalogv1.RebuildAction_REBUILD_ACTION_UNSPECIFIED, "made anew"
	switch {
	case back && forget:
		return wrongUsage("-rollback and -drop-previous do not go together")
	case back:
		do, done = catalogv1.RebuildAction_REBUILD_ACTION_ROLLBACK, "as before"
	case forget:
		do, done = catalogv1.RebuildAction_REBUILD_ACTION_DROP_PREVIOUS, "alone: what was before is given up"
	}
	if view == index {
		view, index = true, true
	}
	return eachReader(strings.Split(readers, ","), func(address string, c catalogv1.ReaderServiceClient) error {
		since := time.Now()
		var stores, names []string
		if view {
			stores, names = append(stores, "view"), append(names, "the view")
			view = false // all readers share it
		}
		if index {
			stores, names = append(stores, "index"), append(names, "the search index of "+address)
		}
		if len(stores) == 0 {
			return nil
		}
		if err := runRebuild(ctx, c, &catalogv1.RebuildRequest{Stores: stores, Action: do}, os.Stderr); err != nil {
			return err
		}
		for _, name := range names {
			fmt.Fprintf(os.Stdout, "%s is %s, in %v\n", name, done, time.Since(since).Round(time.Millisecond))
		}
		return nil
	})
}

func runRebuild(ctx context.Context, c catalogv1.ReaderServiceClient, r *catalogv1.RebuildRequest, progress io.Writer) error {
	stream, err := c.Rebuild(ctx, r)
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
		bars.show(progress, m.GetProgress().GetStep(), m.GetProgress())
	}
}
