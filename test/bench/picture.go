package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// picture writes an SVG of the part posts of a run: the rate and the median latency of
// each server by the number of clients. Both axes are logarithmic.
func picture(w io.Writer, file string) error {
	r, err := loadResults(file)
	if err != nil {
		return err
	}
	const width, height, gap = 360, 240, 70
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", 2*width+3*gap, height+2*gap)
	for i, c := range []struct{ title, suffix string }{{"products/s", ""}, {"p50, ms", ", p50"}} {
		chart := chart{x: float64(gap + i*(width+gap)), y: gap, width: width, height: height}
		if err := chart.draw(w, r, c.title, c.suffix); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	_, err = fmt.Fprintln(w, "</svg>")
	return err
}

// chart is an area of a picture.
type chart struct{ x, y, width, height float64 }

var colours = map[string]string{plainCRUD: "#777", onePartition: "#2a9d8f", defaults: "#e76f51"}

func (c chart) draw(w io.Writer, r *results, title, suffix string) error {
	lines, lowest, highest := map[string][]float64{}, math.Inf(1), 0.0
	for _, server := range []string{plainCRUD, onePartition, defaults} {
		for _, clients := range postClients {
			name := fmt.Sprintf("POST by %s, %s%s", count(clients, "client"), server, suffix)
			i := slices.IndexFunc(r.Figures, func(f figure) bool { return f.Part == "posts" && f.Name == name })
			if i < 0 {
				return fmt.Errorf("has no figure %q", name)
			}
			v := r.Figures[i].median()
			lines[server], lowest, highest = append(lines[server], v), min(lowest, v), max(highest, v)
		}
	}
	low, high := math.Floor(math.Log10(lowest)), math.Ceil(math.Log10(highest))
	at := func(clients int, v float64) (x, y float64) {
		right := math.Log(float64(clients)) / math.Log(float64(postClients[len(postClients)-1]))
		return c.x + right*c.width, c.y + c.height*(high-math.Log10(v))/(high-low)
	}
	fmt.Fprintf(w, `<text x="%.0f" y="%.0f" font-size="14">POST: %s by clients</text>`+"\n", c.x, c.y-24, title)
	for power := low; power <= high; power++ {
		_, y := at(1, math.Pow(10, power))
		fmt.Fprintf(w, `<path d="M%.0f %.0fh%.0f" stroke="#ddd"/><text x="%.0f" y="%.0f" text-anchor="end">%s</text>`+"\n",
			c.x, y, c.width, c.x-6, y+4, strconv.FormatFloat(math.Pow(10, power), 'f', -1, 64))
	}
	for _, clients := range postClients {
		x, _ := at(clients, lowest)
		fmt.Fprintf(w, `<text x="%.0f" y="%.0f" text-anchor="middle">%d</text>`+"\n", x, c.y+c.height+18, clients)
	}
	for i, server := range []string{plainCRUD, onePartition, defaults} {
		d := ""
		for n, clients := range postClients {
			x, y := at(clients, lines[server][n])
			d += fmt.Sprintf("%c%.0f %.0f", "ML"[min(n, 1)], x, y)
		}
		fmt.Fprintf(w, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", d, colours[server])
		fmt.Fprintf(w, `<text x="%.0f" y="%.0f" fill="%s">%s</text>`+"\n", c.x+float64(i)*120, c.y+c.height+40, colours[server], server)
	}
	return nil
}
