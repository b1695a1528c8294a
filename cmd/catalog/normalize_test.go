package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catalog"
	"catalog/engine/sqlite"
	"catalog/eventlog"
)

// settlingLog settles commands at once in its store, unless it has none.
type settlingLog struct {
	store  *sqlite.Store
	sent   int
	before []catalog.Command // commands that are settled before the next one
	err    error             // error of SendCommands
}

func (l *settlingLog) SendCommands(ctx context.Context, commands ...catalog.Command) error {
	l.sent += len(commands)
	if l.store == nil || l.err != nil {
		return l.err
	}
	commands, l.before = append(l.before, commands...), nil
	st, err := l.store.Claim(ctx, 0)
	if err != nil {
		return err
	}
	b := eventlog.Batch{Epoch: st.Epoch, From: st.Offset, To: st.Offset + int64(len(commands)), NextSeq: st.NextSeq, NextDeadLetter: 1, Commands: commands}
	for i := range commands {
		b.Offsets = append(b.Offsets, st.Offset+int64(i))
	}
	_, err = l.store.Settle(ctx, eventlog.Group{b}, time.Now())
	return err
}

func TestNormalizeTexts(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store := sqlite.NewStore(db)
	if err := store.InitShards(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	log := &settlingLog{store: store}
	const zeroWidth, joiner, accent = "\u200b", "\u200d", "e\u0301"
	price := catalog.Money{Currency: "EUR"}
	create := func(name string, d catalog.ProductData) {
		t.Helper()
		d.Price = price
		if err := log.SendCommands(t.Context(), catalog.Command{ID: catalog.DerivedID(name), Product: catalog.DerivedID(name), Op: catalog.CreateProduct{Data: d}}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want map[string]catalog.ProductData) {
		t.Helper()
		for name, d := range want {
			d.Price = price
			p, err := store.Product(t.Context(), catalog.DerivedID(name))
			if err != nil || !p.ProductData.Equal(d) {
				t.Errorf("%s = %+q, %v; want %+q", name, p.ProductData, err, d)
			}
		}
	}
	var lines []string
	with := func(l commandLog) normalizer {
		lines = nil
		return normalizer{store, l, 1, "test", time.Millisecond, func(line string) { lines = append(lines, line) }}
	}
	products := map[string]catalog.ProductData{
		"right":  {SKU: "A", Name: "Café", Tags: []string{"é"}, Attributes: map[string]string{"é": "é"}},
		"wrong":  {SKU: "B" + zeroWidth, Name: accent, Category: "Caf" + accent + zeroWidth, Tags: []string{accent, "é"}, Attributes: map[string]string{accent: accent}},
		"taken":  {SKU: "A" + zeroWidth, Name: accent},
		"twice":  {SKU: "C", Name: "x", Attributes: map[string]string{accent: "1", "é": "2"}},
		"hidden": {SKU: zeroWidth, Name: "x"},
	}
	for name, d := range products {
		create(name, d)
	}
	state, err := store.State(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	end := state.Offset
	t.Run("without a writer nothing changes", func(t *testing.T) {
		if n, err := with(&settlingLog{}).run(t.Context()); n != 0 || !errors.Is(err, errNotSettled) {
			t.Errorf("run = %d, %v; want 0, errNotSettled", n, err)
		}
		check(products)
	})
	t.Run("commands that an earlier process has left are settled first", func(t *testing.T) {
		log.sent = 0
		if n, err := with(log).once(t.Context(), store, []int64{end + 1}); n != 0 || log.sent != 0 || !errors.Is(err, errNotSettled) {
			t.Errorf("once = %d, %v with %d commands; want 0, errNotSettled and none", n, err, log.sent)
		}
	})
	t.Run("a file of which a part is left is not complete", func(t *testing.T) {
		cut := errors.New("the process ends")
		if _, err := with(&settlingLog{store: store, err: cut}).once(t.Context(), store, []int64{end}); !errors.Is(err, cut) {
			t.Errorf("once = %v; want %v", err, cut)
		}
		if form, err := store.TextForm(t.Context()); err != nil || form != 0 {
			t.Errorf("TextForm = %d, %v; want 0", form, err)
		}
	})
	t.Run("the texts of stored products are normalized by commands", func(t *testing.T) {
		log.sent = 0
		n, err := with(log).once(t.Context(), store, []int64{end})
		if report := strings.Join(lines, "\n"); err != nil || n != 2 || log.sent != 2 || !strings.Contains(report, catalog.DerivedID("taken").String()+" keeps its SKU") {
			t.Errorf("once = %d, %v with %d commands, report:\n%s\nwant 2 commands and the product that keeps its SKU", n, err, log.sent, report)
		}
		check(map[string]catalog.ProductData{
			"right": products["right"], "twice": products["twice"], "hidden": products["hidden"],
			"wrong": {SKU: "B", Name: "é", Category: "Café", Tags: []string{"é"}, Attributes: map[string]string{"é": "é"}},
			"taken": {SKU: "A" + zeroWidth, Name: "é"},
		})
	})
	t.Run("another run sends no command", func(t *testing.T) {
		log.sent = 0
		if n, err := with(log).run(t.Context()); n != 0 || err != nil || log.sent != 0 {
			t.Errorf("run = %d, %v with %d commands; want none", n, err, log.sent)
		}
	})
	t.Run("a file is looked through once", func(t *testing.T) {
		create("later", catalog.ProductData{Name: accent})
		if n, err := with(log).once(t.Context(), store, []int64{end}); n != 0 || err != nil {
			t.Errorf("once = %d, %v; want 0, nil", n, err)
		}
	})
	t.Run("a product that a client changes meanwhile is normalized too", func(t *testing.T) {
		price = catalog.Money{Decimal: catalog.Decimal{Units: 5}, Currency: "EUR"}
		log.before = []catalog.Command{{ID: catalog.DerivedID("client"), Product: catalog.DerivedID("later"), Op: catalog.PatchProduct{Patch: catalog.Patch{Amount: &price.Decimal}}}}
		if n, err := with(log).run(t.Context()); n != 1 || err != nil {
			t.Errorf("run = %d, %v; want 1, nil", n, err)
		}
		check(map[string]catalog.ProductData{"later": {Name: "é"}})
	})
	t.Run("one of two products gets the SKU that both would have", func(t *testing.T) {
		create("one", catalog.ProductData{SKU: "D" + zeroWidth, Name: accent})
		create("other", catalog.ProductData{SKU: "d" + joiner, Name: accent})
		n, err := with(log).run(t.Context())
		if n != 2 || err != nil || len(lines) == 0 || !strings.Contains(lines[0], "keeps its SKU") {
			t.Errorf("run = %d, %v, report %q; want 2 products and the one that keeps its SKU", n, err, lines)
		}
		for _, name := range []string{"one", "other"} {
			if p, err := store.Product(t.Context(), catalog.DerivedID(name)); err != nil || p.Name != "é" {
				t.Errorf("%s = %+q, %v; want the name normalized", name, p.ProductData, err)
			}
		}
	})
}
