package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/rpc"
)

const deadLettersManual = `dead-letters ACTION [flags] …

  catalog dead-letters list [-shard N] [-limit N]
  catalog dead-letters show [-raw] ID
  catalog dead-letters replay [-dry-run] [-all] [ID…]

A dead letter is a record of the commands topic that could not be decoded. It is kept
unchanged, with the cause. Replay decodes it with this version of the program and sends
the command. A command takes effect once, however often it is replayed.

`

const (
	deadLettersPage   = 1_000 // letters in one request
	deadLettersListed = 50    // default of -limit
)

// deadLetters runs catalog dead-letters.
func deadLetters(ctx context.Context, args []string) error {
	actions := map[string]func(context.Context, *deadLettersCall) error{
		"list": listDeadLetters, "show": showDeadLetter, "replay": replayDeadLetters,
	}
	const names = "list, show, replay"
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if err := parse(flags("dead-letters", deadLettersManual), args); err != nil {
			return err
		}
		return wrongUsage("give an action: %s", names)
	}
	action, ok := actions[args[0]]
	if !ok {
		return wrongUsage("%q is not one of %s", args[0], names)
	}
	d := deadLettersCall{out: os.Stdout}
	fs := flags("dead-letters "+args[0], deadLettersManual)
	var writer string
	fs.StringVar(&writer, "writer", "127.0.0.1:8082", "gRPC `address` of a writer")
	switch args[0] {
	case "list":
		fs.IntVar(&d.shard, "shard", -1, "list only the dead letters of this `shard`; -1 for all shards")
		fs.IntVar(&d.limit, "limit", deadLettersListed, "list at most this `number`, the newest first")
	case "show":
		fs.BoolVar(&d.raw, "raw", false, "write only the value of the record, unchanged")
	case "replay":
		fs.BoolVar(&d.dryRun, "dry-run", false, "only print what would be sent")
		fs.BoolVar(&d.all, "all", false, "replay all dead letters, the oldest first")
	}
	if err := parse(fs, args[1:]); err != nil {
		return err
	}
	for _, arg := range fs.Args() {
		id, err := catalog.ParsePosition(arg)
		if err != nil || id.Seq < 1 {
			return wrongUsage("%q is not the ID of a dead letter, such as 5.3; catalog dead-letters list shows the IDs", arg)
		}
		d.ids = append(d.ids, id)
	}
	conn, err := rpc.Dial(writer, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer conn.Close()
	d.client = catalogv1.NewWriterServiceClient(conn)
	err = action(ctx, &d)
	switch s, ok := status.FromError(err); {
	case !ok || err == nil:
		return err
	case s.Code() == codes.NotFound:
		return &catalog.Refusal{Code: catalog.CodeNotFound, Reason: "there is no such dead letter; catalog dead-letters list shows the IDs"}
	default:
		return fmt.Errorf("writer %s: %w; -writer selects another writer", writer, callError{err})
	}
}

// deadLettersCall holds the arguments and flags of one call of catalog dead-letters.
type deadLettersCall struct {
	client catalogv1.WriterServiceClient
	out    io.Writer
	ids    []catalog.Position

	shard, limit     int
	raw, dryRun, all bool
}

// each calls handle with up to limit dead letters, the newest first. A nil shard means
// all shards.
func (d *deadLettersCall) each(ctx context.Context, shard *int32, limit int, handle func(*catalogv1.DeadLetter) error) error {
	var after *catalogv1.DeadLetterID
	for limit > 0 {
		page, err := d.client.ListDeadLetters(ctx, &catalogv1.ListDeadLettersRequest{Shard: shard, After: after, Limit: int32(min(limit, deadLettersPage))})
		if err != nil {
			return err
		}
		for _, letter := range page.GetLetters() {
			if err := handle(letter); err != nil {
				return err
			}
			after = &catalogv1.DeadLetterID{Shard: letter.GetShard(), Number: letter.GetNumber()}
		}
		if limit -= len(page.GetLetters()); len(page.GetLetters()) == 0 {
			return nil
		}
	}
	return nil
}

func listDeadLetters(ctx context.Context, d *deadLettersCall) error {
	if len(d.ids) > 0 {
		return wrongUsage("catalog dead-letters list takes no ID; catalog dead-letters show does")
	}
	var shard *int32
	if d.shard >= 0 {
		n := int32(d.shard)
		shard = &n
	}
	n := 0
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tTIME\tOFFSET\tBYTES\tCAUSE")
	err := d.each(ctx, shard, d.limit, func(letter *catalogv1.DeadLetter) error {
		n++
		_, err := fmt.Fprintf(table, "%d.%d\t%s\t%d\t%d\t%s\n", letter.GetShard(), letter.GetNumber(),
			letter.GetAt().AsTime().Format(time.RFC3339), letter.GetOffset(), letter.GetSize(), letter.GetCause())
		return err
	})
	if err != nil {
		return err
	}
	if n == 0 {
		_, err := fmt.Fprintln(d.out, "there are no dead letters")
		return err
	}
	return table.Flush()
}

func showDeadLetter(ctx context.Context, d *deadLettersCall) error {
	if len(d.ids) != 1 {
		return wrongUsage("give the ID of one dead letter, such as 5.3; catalog dead-letters list shows the IDs")
	}
	reply, err := d.client.GetDeadLetter(ctx, &catalogv1.GetDeadLetterRequest{Id: deadLetterID(d.ids[0])})
	if err != nil {
		return err
	}
	letter := reply.GetLetter()
	if d.raw {
		_, err := d.out.Write(letter.GetValue())
		return err
	}
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "id\t%s\n", d.ids[0])
	fmt.Fprintf(table, "cause\t%s\n", letter.GetCause())
	fmt.Fprintf(table, "time\t%s\n", letter.GetAt().AsTime().Format(time.RFC3339Nano))
	fmt.Fprintf(table, "partition\t%d\n", letter.GetShard())
	fmt.Fprintf(table, "offset\t%d\n", letter.GetOffset())
	fmt.Fprintf(table, "key\t%s\n", printable(letter.GetKey()))
	for _, h := range letter.GetHeaders() {
		fmt.Fprintf(table, "header %s\t%s\n", printable(h.GetKey()), printable(h.GetValue()))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.out, "value, %d bytes\n%s", letter.GetSize(), hex.Dump(letter.GetValue()))
	return err
}

func replayDeadLetters(ctx context.Context, d *deadLettersCall) error {
	if d.all == (len(d.ids) > 0) {
		return wrongUsage("give IDs of dead letters, such as 5.3, or -all")
	}
	if d.all {
		err := d.each(ctx, nil, 1<<30, func(letter *catalogv1.DeadLetter) error {
			d.ids = append(d.ids, catalog.Position{Shard: letter.GetShard(), Seq: letter.GetNumber()})
			return nil
		})
		if err != nil {
			return err
		}
		slices.Reverse(d.ids) // the list has the newest first
	}
	undecodable := 0
	for _, id := range d.ids {
		r, err := d.client.ReplayDeadLetter(ctx, &catalogv1.ReplayDeadLetterRequest{Id: deadLetterID(id), DryRun: d.dryRun})
		if err != nil {
			return fmt.Errorf("dead letter %s: %w", id, err)
		}
		if len(r.GetCommandId()) != len(catalog.ID{}) {
			undecodable++
			fmt.Fprintf(d.out, "%s  cannot be decoded: %s\n", id, r.GetCause())
			continue
		}
		outcome := "is already settled"
		switch {
		case r.GetSent():
			outcome = "was sent"
		case !r.GetSettled():
			outcome = "would be sent"
		}
		fmt.Fprintf(d.out, "%s  command %s %s\n", id, catalog.ID(r.GetCommandId()), outcome)
	}
	if undecodable > 0 {
		return fmt.Errorf("%d of %d dead letters cannot be decoded", undecodable, len(d.ids))
	}
	return nil
}

func deadLetterID(id catalog.Position) *catalogv1.DeadLetterID {
	return &catalogv1.DeadLetterID{Shard: id.Shard, Number: id.Seq}
}

// printable returns b as a quoted string, or in hexadecimal if it is not text.
func printable(b []byte) string {
	if utf8.Valid(b) {
		return fmt.Sprintf("%q", b)
	}
	return hex.EncodeToString(b)
}
