package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	goal := 0.8
	file := func(figures ...figure) string {
		name := filepath.Join(t.TempDir(), "results.json")
		if _, err := (&results{Figures: figures}).save(name); err != nil {
			t.Fatal(err)
		}
		return name
	}
	rate := func(values ...float64) figure {
		return figure{Part: "posts", Name: "rate", Unit: "products/s", Values: values, Higher: true}
	}
	share := func(values ...float64) figure {
		return figure{Part: "posts", Name: "share", Values: values, Goal: &goal, Higher: true}
	}
	latency := func(values ...float64) figure {
		return figure{Part: "view", Name: "rate", Unit: "ms", Values: values}
	}
	tests := []struct {
		name          string
		before, after []figure
		rows          []string
		end           string
	}{
		{"a change within the spread of a run is not named", []figure{rate(100, 90, 110)}, []figure{rate(119, 118, 117)}, nil, "1 figures changed by no more"},
		{"a change beyond both spreads is named", []figure{rate(100, 90, 110)}, []figure{rate(121, 125, 120)}, []string{"| posts: rate | 100 products/s | 121 products/s | 1.21 | better |"}, "0 figures"},
		{"the wider spread counts, of whichever run it is", []figure{rate(100, 101, 99)}, []figure{rate(121, 100, 125)}, nil, "1 figures"},
		{"a higher time is worse", []figure{latency(10, 10, 11)}, []figure{latency(20, 20, 21)}, []string{"| view: rate | 10.0 ms | 20.0 ms | 2.00 | worse |"}, "0 figures"},
		{"a goal that is passed either way is named", []figure{share(0.7, 0.71, 0.7)}, []figure{share(0.9, 0.9, 0.91)}, []string{"better, goal reached |"}, "0 figures"},
		{"a goal that is lost is named", []figure{share(0.9, 0.9, 0.91)}, []figure{share(0.7, 0.71, 0.7)}, []string{"worse, **goal missed** |"}, "0 figures"},
		{"one round has no spread", []figure{rate(100)}, []figure{rate(200, 200, 200)}, nil, "1 have one round only"},
		{"figures of one run are counted", []figure{rate(100, 100)}, []figure{latency(1, 1)}, nil, "2 are in one of the runs only"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			if err := compare(&out, file(test.before...), file(test.after...)); err != nil {
				t.Fatal(err)
			}
			_, table, _ := strings.Cut(out.String(), "|---|---|---|---|---|\n")
			rows, end, _ := strings.Cut(table, "\n\n")
			if len(test.rows) == 0 {
				rows, end = "", table
			}
			for _, want := range test.rows {
				if !strings.Contains(rows, want) {
					t.Errorf("rows:\n%s\nwant one with %s", rows, want)
				}
			}
			if strings.Count(rows, "|\n")+min(len(rows), 1) != len(test.rows) || !strings.Contains(end, test.end) {
				t.Errorf("compare wrote\n%s\nwant %d rows and %q", out.String(), len(test.rows), test.end)
			}
		})
	}
}
