package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	catalogv1 "catalog/api/catalog/v1"
)

func rebuild(ctx context.Context, args []string) error {
	var readers string
	var view, index, rollback, dropPrevious bool
	fs := flags("rebuild", `rebuild [flags]

Rebuilds the view and the search index from the store while the system runs: beside the
ones in use, which they replace after a comparison with the store. No read fails. If the
command is interrupted, run it again.

The previous view and index are kept and updated, so that -rollback can return to them
immediately, until -drop-previous deletes them. All readers share one view, and each has
its own index, so -reader must list all readers. If the index is in OpenSearch, readers
share it, and one reader is enough.
`)
	readersFlag(fs, &readers)
	fs.BoolVar(&view, "view", false, "rebuild only the view")
	fs.BoolVar(&index, "index", false, "rebuild only the search indexes")
	fs.BoolVar(&rollback, "rollback", false, "return to the view and index from before the last rebuild")
	fs.BoolVar(&dropPrevious, "drop-previous", false, "delete the view and index from before the last rebuild")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	action, done := catalogv1.RebuildAction_REBUILD_ACTION_UNSPECIFIED, "rebuilt"
	switch {
	case rollback && dropPrevious:
		return wrongUsage("give -rollback or -drop-previous, not both")
	case rollback:
		action, done = catalogv1.RebuildAction_REBUILD_ACTION_ROLLBACK, "rolled back"
	case dropPrevious:
		action, done = catalogv1.RebuildAction_REBUILD_ACTION_DROP_PREVIOUS, "deleted the previous version of"
	}
	if view == index {
		view, index = true, true
	}
	return eachReader(readers, func(address string, c catalogv1.ReaderServiceClient) error {
		since := time.Now()
		var stores, names []string
		if view {
			stores, names = append(stores, "view"), append(names, "the view")
			view = false // the first reader rebuilt the view for all readers
		}
		if index {
			stores, names = append(stores, "index"), append(names, "the search index of "+address)
		}
		if len(stores) == 0 {
			return nil
		}
		if err := runRebuild(ctx, c, &catalogv1.RebuildRequest{Stores: stores, Action: action}, os.Stderr); err != nil {
			return err
		}
		for _, name := range names {
			fmt.Printf("%s %s in %v\n", done, name, time.Since(since).Round(time.Millisecond))
		}
		return nil
	})
}

func runRebuild(ctx context.Context, c catalogv1.ReaderServiceClient, r *catalogv1.RebuildRequest, status io.Writer) error {
	stream, err := c.Rebuild(ctx, r)
	if err != nil {
		return err
	}
	bars := jobProgress{out: status}
	defer bars.done()
	return receive(stream, func(m *catalogv1.RebuildResponse) {
		bars.show(m.GetProgress().GetStep(), m.GetProgress())
	})
}
