package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
)

// compare writes which figures of two runs differ by more than the spread of their
// rounds. Each run is a file with results.
func compare(w io.Writer, before, after string) error {
	a, err := loadResults(before)
	if err != nil {
		return err
	}
	b, err := loadResults(after)
	if err != nil {
		return err
	}
	for i, r := range []*results{a, b} {
		fmt.Fprintf(w, "%c: %s, commit %s, %s, %d CPUs, %s products/s encoded and decoded\n",
			'A'+rune(i), r.Date.Format("2006-01-02 15:04"), r.Commit, r.Go, r.CPUs, formatNumber(r.Coding))
	}
	if a.Size != b.Size || a.Index != b.Index {
		fmt.Fprintf(w, "The runs did different amounts of work: size %g and %g, %d and %d products.\n", a.Size, b.Size, a.Index, b.Index)
	}
	earlier := map[[2]string]figure{}
	for _, f := range a.Figures {
		earlier[[2]string{f.Part, f.Name}] = f
	}
	fmt.Fprintln(w, "\n| changed | A | B | B/A | |\n|---|---|---|---|---|")
	same, once, only := 0, 0, 0
	for _, f := range b.Figures {
		key := [2]string{f.Part, f.Name}
		old, ok := earlier[key]
		delete(earlier, key)
		switch {
		case !ok:
			only++
		case len(f.Values) < 2 || len(old.Values) < 2:
			once++
		case !changed(old, f):
			same++
		default:
			row(w, f.Part+": "+f.Name, withUnit(old.median(), f.Unit), withUnit(f.median(), f.Unit), quotient(f.median(), old.median()), verdict(old, f))
		}
	}
	fmt.Fprintf(w, "\n%d figures changed by no more than their spread; %d have one round only; %d are in one of the runs only.\n", same, once, only+len(earlier))
	return nil
}

func loadResults(name string) (*results, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var r results
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, f := range r.Figures {
		if len(f.Values) == 0 {
			return nil, fmt.Errorf("%s: the figure %q has no values", name, f.Name)
		}
	}
	return &r, nil
}

// changed reports whether the medians differ by more than the larger spread.
func changed(before, after figure) bool {
	return math.Abs(after.median()-before.median()) > max(before.spread(), after.spread())
}

// verdict says whether a changed figure is better, and whether it passed its goal.
func verdict(before, after figure) string {
	text := "worse"
	if after.Higher == (after.median() > before.median()) {
		text = "better"
	}
	if after.Goal != nil && before.Goal != nil && before.reached() != after.reached() {
		if after.reached() {
			return text + ", goal reached"
		}
		return text + ", **goal missed**"
	}
	return text
}

func quotient(a, b float64) string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", a/b)
}
