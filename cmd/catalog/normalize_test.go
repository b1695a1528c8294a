package main

import (
	"context"
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
	store *sqlite.Store
	sent  int
}

func (l *settlingLog) SendCommands(ctx context.Context, commands ...catalog.Command) error {
	l.sent += len(commands)
	if l.store == nil {
		return nil
	}
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
	const zeroWidth, accent = "\u200b", "e\u0301"
	products := map[string]catalog.ProductData{
		"right":  {SKU: "A", Name: "Café", Tags: []string{"é"}, Attributes: map[string]string{"é": "é"}},
		"wrong":  {SKU: "B" + zeroWidth, Name: accent, Category: "Caf" + accent + zeroWidth, Tags: []string{accent, "é"}, Attributes: map[string]string{accent: accent}},
		"taken":  {SKU: "A" + zeroWidth, Name: accent},
		"twice":  {SKU: "C", Name: "x", Attributes: map[string]string{accent: "1", "é": "2"}},
		"hidden": {SKU: zeroWidth, Name: "x"},
	}
	for name, d := range products {
		d.Price.Currency = "EUR"
		if err := log.SendCommands(t.Context(), catalog.Command{ID: catalog.DerivedID(name), Product: catalog.DerivedID(name), Op: catalog.CreateProduct{Data: d}}); err != nil {
			t.Fatal(err)
		}
	}
	normalize := func(l commandLog) string {
		t.Helper()
		var lines []string
		if err := normalizeTexts(t.Context(), store, l, 1, time.Millisecond, func(line string) { lines = append(lines, line) }); err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	t.Run("without a writer nothing changes, and the report says so", func(t *testing.T) {
		if report := normalize(&settlingLog{}); !strings.Contains(report, "run catalog migrate again") {
			t.Errorf("report:\n%s", report)
		}
	})
	t.Run("the texts of stored products are normalized by commands", func(t *testing.T) {
		log.sent = 0
		report := normalize(log)
		if log.sent != 2 || !strings.Contains(report, "2 products are normalized") || !strings.Contains(report, catalog.DerivedID("taken").String()+" keeps its SKU") {
			t.Errorf("%d commands, report:\n%s\nwant 2 commands and the product that keeps its SKU", log.sent, report)
		}
		want := map[string]catalog.ProductData{
			"right": products["right"], "twice": products["twice"], "hidden": products["hidden"],
			"wrong": {SKU: "B", Name: "é", Category: "Café", Tags: []string{"é"}, Attributes: map[string]string{"é": "é"}},
			"taken": {SKU: "A" + zeroWidth, Name: "é"},
		}
		for name, d := range want {
			d.Price.Currency = "EUR"
			p, err := store.Product(t.Context(), catalog.DerivedID(name))
			if err != nil || !p.ProductData.Equal(d) {
				t.Errorf("%s = %+q, %v; want %+q", name, p.ProductData, err, d)
			}
		}
	})
	t.Run("another run sends no command", func(t *testing.T) {
		log.sent = 0
		if normalize(log); log.sent != 0 {
			t.Errorf("%d commands; want 0", log.sent)
		}
	})
}
