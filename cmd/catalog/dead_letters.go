package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
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

const deadManual = `dead-letters ACTION [flags] …

  catalog dead-letters list [-shard N] [-limit N]
  catalog dead-letters show [-raw] ID
  catalog dead-letters replay [-dry-run] [-all] [ID…]

Dead letters are records of the commands topic of which no command can be made;
each is kept as it came, with its cause. To replay one is to send the command that
this version can make of it, which has its effect once, however often it is done.

`

// dead is `catalog dead-letters`.
func dead(ctx context.Context, args []string) error {
	actions := map[string]func(context.Context, *deadCall) error{"list": listDead, "show": showDead, "replay": replayDead}
	const names = "list, show, replay"
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if err := parse(flags("dead-letters", deadManual), args); err != nil {
			return err
		}
		return wrongUsage("say what to do: %s", names)
	}
	action, ok := actions[args[0]]
	if !ok {
		return wrongUsage("%q is not one of %s", args[0], names)
	}
	d := deadCall{out: os.Stdout}
	fs := flags("dead-letters "+args[0], deadManual)
	var writer string
	fs.StringVar(&writer, "writer", "127.0.0.1:8082", "`address` of the writer's gRPC")
	switch args[0] {
	case "list":
		fs.IntVar(&d.shard, "shard", -1, "only those of this shard; -1 for all")
		fs.IntVar(&d.limit, "limit", 50, "list this `number` at most, the newest first")
	case "show":
		fs.BoolVar(&d.raw, "raw", false, "write the value alone, as it came")
	case "replay":
		fs.BoolVar(&d.dry, "dry-run", false, "only say what would happen")
		fs.BoolVar(&d.all, "all", false, "all dead letters, the oldest first")
	}
	if err := parse(fs, args[1:]); err != nil {
		return err
	}
	for _, arg := range fs.Args() {
		id, err := catalog.ParsePosition(arg)
		if err != nil || id.Seq < 1 {
			return wrongUsage("%q is not the ID of a dead letter, such as 5.3; catalog dead-letters list shows them", arg)
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
		return errors.New("there is no such dead letter; catalog dead-letters list shows those that there are")
	default:
		return fmt.Errorf("writer %s: %s; -writer names another", writer, s.Message())
	}
}

// deadCall is one call of `catalog dead-letters`.
type deadCall struct {
	client catalogv1.WriterServiceClient
	out    io.Writer
	ids    []catalog.Position

	shard, limit  int
	raw, dry, all bool
}

// walk calls handle with up to limit dead letters, the newest first.
func (d *deadCall) walk(ctx context.Context, shard *int32, limit int, handle func(*catalogv1.DeadLetter) error) error {
	var after *catalogv1.DeadLetterID
	for limit > 0 {
		page, err := d.client.ListDeadLetters(ctx, &catalogv1.ListDeadLettersRequest{Shard: shard, After: after, Limit: int32(min(limit, 1000))})
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

func listDead(ctx context.Context, d *deadCall) error {
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
	fmt.Fprintln(table, "ID\tPUT ASIDE\tOFFSET\tBYTES\tCAUSE")
	err := d.walk(ctx, shard, d.limit, func(letter *catalogv1.DeadLetter) error {
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

func showDead(ctx context.Context, d *deadCall) error {
	if len(d.ids) != 1 {
		return wrongUsage("give the ID of one dead letter, such as 5.3; catalog dead-letters list shows them")
	}
	answer, err := d.client.GetDeadLetter(ctx, &catalogv1.GetDeadLetterRequest{Id: letterID(d.ids[0])})
	if err != nil {
		return err
	}
	letter := answer.GetLetter()
	if d.raw {
		_, err := d.out.Write(letter.GetValue())
		return err
	}
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "id\t%s\n", d.ids[0])
	fmt.Fprintf(table, "cause\t%s\n", letter.GetCause())
	fmt.Fprintf(table, "put aside\t%s\n", letter.GetAt().AsTime().Format(time.RFC3339Nano))
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

func replayDead(ctx context.Context, d *deadCall) error {
	if d.all == (len(d.ids) > 0) {
		return wrongUsage("give IDs of dead letters, such as 5.3, or -all")
	}
	if d.all {
		err := d.walk(ctx, nil, 1<<30, func(letter *catalogv1.DeadLetter) error {
			d.ids = append(d.ids, catalog.Position{Shard: letter.GetShard(), Seq: letter.GetNumber()})
			return nil
		})
		if err != nil {
			return err
		}
	}
	broken := 0
	for i := range d.ids {
		id := d.ids[i]
		if d.all { // they came newest first
			id = d.ids[len(d.ids)-1-i]
		}
		r, err := d.client.ReplayDeadLetter(ctx, &catalogv1.ReplayDeadLetterRequest{Id: letterID(id), DryRun: d.dry})
		if err != nil {
			return fmt.Errorf("dead letter %s: %w", id, err)
		}
		what := "is settled already"
		switch {
		case len(r.GetCommandId()) != 16:
			broken++
			fmt.Fprintf(d.out, "%s  no command can be made of it: %s\n", id, r.GetCause())
			continue
		case r.GetSent():
			what = "was sent"
		case !r.GetSettled():
			what = "would be sent"
		}
		fmt.Fprintf(d.out, "%s  command %s %s\n", id, catalog.ID(r.GetCommandId()), what)
	}
	if broken > 0 {
		return fmt.Errorf("no command can be made of %d of %d dead letters", broken, len(d.ids))
	}
	return nil
}

func letterID(id catalog.Position) *catalogv1.DeadLetterID {
	return &catalogv1.DeadLetterID{Shard: id.Shard, Number: id.Seq}
}

// printable is b on one line that a terminal can bear.
func printable(b []byte) string {
	if utf8.Valid(b) {
		return fmt.Sprintf("%q", b)
	}
	return hex.EncodeToString(b)
}
