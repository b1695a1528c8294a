package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"sort"
	"strings"
	"time"
)

// Sizes in pixels. Grafana's grid has 24 columns.
const (
	column = 58
	unit   = 30 // height of a grid unit
	gap    = 6
	header = 44
)

// palette holds the colors of lines.
var palette = []string{"#3274d9", "#e0a100", "#37872d", "#c4162a", "#8f3bb8", "#1f78c1", "#fa6400", "#508642", "#6d1f62", "#0a437c"}

// colors holds the colors of thresholds.
var colors = map[string]string{"green": "#37872d", "orange": "#e68a00", "red": "#c4162a", "blue": "#3a6ea5"}

// canvas collects the elements of a picture.
type canvas struct {
	bytes.Buffer
	source source
	height int
}

func newCanvas(d dashboard, s source) *canvas {
	c := &canvas{source: s}
	for _, p := range d.Panels {
		c.height = max(c.height, header+(p.GridPos.Y+p.GridPos.H)*unit+gap)
	}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="DejaVu Sans,Helvetica,Arial,sans-serif" font-size="11">`+"\n", 24*column+gap, c.height)
	fmt.Fprintf(c, `<rect width="100%%" height="100%%" fill="#eef0f2"/>`)
	c.text(gap+4, 28, `font-size="18" fill="#222"`, d.Title)
	c.text(24*column, 28, `text-anchor="end" fill="#666"`, fmt.Sprintf("%s to %s UTC", s.from.UTC().Format("2006-01-02 15:04:05"), s.to.UTC().Format("15:04:05")))
	return c
}

func (c *canvas) bytes() []byte {
	c.WriteString("</svg>\n")
	return c.Bytes()
}

func (c *canvas) text(x, y float64, attributes, s string) {
	fmt.Fprintf(c, `<text x="%.0f" y="%.0f" %s>%s</text>`+"\n", x, y, attributes, html.EscapeString(s))
}

// fit shortens s to the width.
func fit(s string, width, size float64) string {
	r := []rune(s)
	if n := int(width / (size * 0.6)); len(r) > max(n, 1) {
		return string(r[:max(n, 1)-1]) + "…"
	}
	return s
}

// area is the inside of a panel.
type area struct{ x, y, w, h float64 }

func (c *canvas) panel(p panel) error {
	a := area{float64(p.GridPos.X*column + gap), float64(header + p.GridPos.Y*unit), float64(p.GridPos.W*column - gap), float64(p.GridPos.H*unit - gap)}
	if p.Type == "row" {
		c.text(a.x+4, a.y+18, `font-size="14" font-weight="bold" fill="#333"`, p.Title)
		return nil
	}
	fmt.Fprintf(c, `<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" fill="#fff" stroke="#d5d8dc"/>`+"\n", a.x, a.y, a.w, a.h)
	c.text(a.x+8, a.y+17, `font-weight="bold" fill="#333"`, fit(p.Title, a.w-16, 11.5))
	inside := area{a.x + 8, a.y + 26, a.w - 16, a.h - 32}
	switch p.Type {
	case "stat":
		return c.stat(p, a, inside)
	case "table":
		return c.table(p, inside)
	case "timeseries":
		return c.graph(p, inside)
	}
	return fmt.Errorf("type %s cannot be drawn", p.Type)
}

// threshold returns the color of a value.
func (p panel) threshold(v float64) string {
	name := "blue"
	for _, s := range p.FieldConfig.Defaults.Thresholds.Steps {
		if s.Value == nil || v >= *s.Value {
			name = s.Color
		}
	}
	return colors[name]
}

func (p panel) empty() string {
	if p.FieldConfig.Defaults.NoValue != "" {
		return p.FieldConfig.Defaults.NoValue
	}
	return "No data"
}

func (c *canvas) noData(p panel, a area) {
	c.text(a.x+a.w/2, a.y+a.h/2, `text-anchor="middle" fill="#999" font-size="14"`, p.empty())
}

func (c *canvas) stat(p panel, whole, a area) error {
	all, err := c.source.instant(p.Targets[0].Expr)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		c.noData(p, a)
		return nil
	}
	v := all[0].values[len(all[0].values)-1].v
	fmt.Fprintf(c, `<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" fill="%s"/>`+"\n", whole.x+1, whole.y+24, whole.w-2, whole.h-25, p.threshold(v))
	c.text(a.x+a.w/2, a.y+a.h/2+14, `text-anchor="middle" fill="#fff" font-size="32"`, text(v, p.FieldConfig.Defaults.Unit, c.source.to))
	return nil
}

// columns returns the labels that a table shows, and the name of its value.
func (p panel) columns() (labels []string, valueName string) {
	for _, t := range p.Transformations {
		for name := range t.Options.IndexByName {
			if name != "Value" {
				labels = append(labels, name)
			}
		}
		sort.Slice(labels, func(i, j int) bool { return t.Options.IndexByName[labels[i]] < t.Options.IndexByName[labels[j]] })
	}
	valueName = "Value"
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if name, ok := property.Value.(string); ok && property.ID == "displayName" {
				valueName = name
			}
		}
	}
	return labels, valueName
}

func (c *canvas) table(p panel, a area) error {
	all, err := c.source.instant(p.Targets[0].Expr)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		c.noData(p, a)
		return nil
	}
	labels, valueName := p.columns()
	width := a.w / float64(len(labels)+1)
	for i, l := range append(append([]string{}, labels...), valueName) {
		c.text(a.x+float64(i)*width, a.y+12, `fill="#3274d9"`, fit(l, width, 11))
	}
	const line = 20
	for n, s := range all {
		y := a.y + 18 + float64(n)*line
		if y+line > a.y+a.h {
			c.text(a.x, a.y+a.h, `fill="#999"`, fmt.Sprintf("… %d rows in all: scroll", len(all)))
			break
		}
		for i, l := range labels {
			c.text(a.x+float64(i)*width, y+14, `fill="#333"`, fit(s.labels[l], width-4, 11))
		}
		v := s.values[0].v
		fmt.Fprintf(c, `<rect x="%.0f" y="%.0f" width="%.0f" height="%d" fill="%s"/>`, a.x+float64(len(labels))*width, y+1, width, line-2, p.threshold(v))
		c.text(a.x+float64(len(labels))*width+6, y+14, `fill="#fff"`, fit(text(v, p.FieldConfig.Defaults.Unit, c.source.to), width, 11))
	}
	return nil
}

// line is a series to draw, with its name.
type line struct {
	name string
	series
}

func (c *canvas) graph(p panel, a area) error {
	var lines []line
	var dots []value
	for _, t := range p.Targets {
		all, err := c.source.over(t.Expr)
		if err != nil {
			return err
		}
		for _, s := range all {
			lines = append(lines, line{legend(t.LegendFormat, s.labels), s})
		}
		if t.Exemplar && dots == nil {
			if dots, err = c.source.exemplars(t.Expr); err != nil {
				return err
			}
		}
	}
	if len(lines) == 0 {
		c.noData(p, a)
		return nil
	}
	legendHeight := c.legends(p, a, lines)
	plot := area{a.x + 58, a.y + 4, a.w - 62, a.h - 22 - legendHeight}
	stacked := p.FieldConfig.Defaults.Custom.Stacking.Mode == "normal"
	if stacked {
		stack(lines)
	}
	low, high := bounds(p, lines)
	x := func(t time.Time) float64 {
		return plot.x + plot.w*float64(t.Sub(c.source.from))/float64(c.source.to.Sub(c.source.from))
	}
	y := func(v float64) float64 { return plot.y + plot.h*(1-(v-low)/(high-low)) }
	for i := range 4 {
		v := low + (high-low)*float64(i)/3
		fmt.Fprintf(c, `<path d="M%.0f %.0fh%.0f" stroke="#e4e7eb"/>`, plot.x, y(v), plot.w)
		c.text(plot.x-4, y(v)+4, `text-anchor="end" fill="#777" font-size="10"`, text(v, p.FieldConfig.Defaults.Unit, c.source.to))
	}
	for i := range 3 {
		t := c.source.from.Add(c.source.to.Sub(c.source.from) * time.Duration(2*i+1) / 6)
		c.text(x(t), plot.y+plot.h+14, `text-anchor="middle" fill="#777" font-size="10"`, t.UTC().Format("15:04:05"))
	}
	for _, s := range p.FieldConfig.Defaults.Thresholds.Steps {
		if s.Value != nil && *s.Value > low && *s.Value <= high {
			fmt.Fprintf(c, `<path d="M%.0f %.0fh%.0f" stroke="%s" stroke-dasharray="6 4"/>`, plot.x, y(*s.Value), plot.w, colors[s.Color])
		}
	}
	step := c.source.step()
	for i := len(lines) - 1; i >= 0; i-- {
		color := palette[i%len(palette)]
		var d strings.Builder
		var last time.Time
		for _, v := range lines[i].values {
			move := "L"
			if v.at.Sub(last) > 3*step/2 {
				move = "M"
			}
			fmt.Fprintf(&d, "%s%.0f %.1f", move, x(v.at), y(math.Min(v.v, high)))
			last = v.at
		}
		if stacked && strings.Count(d.String(), "M") == 1 {
			fmt.Fprintf(c, `<path d="%sL%.0f %.0fL%.0f %.0fZ" fill="%s" fill-opacity=".75"/>`, d.String(), x(last), y(low), x(lines[i].values[0].at), y(low), color)
		}
		fmt.Fprintf(c, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", d.String(), color)
	}
	const most = 25 // limit of the dots of a panel
	for i := 0; i < len(dots); i += 1 + len(dots)/most {
		if v := dots[i]; v.v <= high && !v.at.Before(c.source.from) {
			fmt.Fprintf(c, `<circle cx="%.0f" cy="%.1f" r="2.5" fill="none" stroke="#333"/>`, x(v.at), y(v.v))
		}
	}
	return nil
}

// legends draws the names of the lines and their last values, and returns the
// height that they take: at most three lines of text.
func (c *canvas) legends(p panel, a area, lines []line) float64 {
	type entry struct {
		text string
		x    float64
		row  int
	}
	var entries []entry
	x, row := 0.0, 0
	for _, l := range lines {
		s := fit(l.name+": "+text(l.values[len(l.values)-1].v, p.FieldConfig.Defaults.Unit, c.source.to), a.w-14, 10)
		w := float64(len([]rune(s)))*6.1 + 24
		if x > 0 && x+w > a.w {
			x, row = 0, row+1
		}
		entries = append(entries, entry{s, x, row})
		x += w
	}
	rows := min(row+1, 3)
	top := a.y + a.h - float64(rows)*13
	for i, e := range entries {
		if e.row >= rows {
			break
		}
		y := top + float64(e.row)*13
		fmt.Fprintf(c, `<rect x="%.0f" y="%.0f" width="10" height="3" fill="%s"/>`, a.x+e.x, y+6, palette[i%len(palette)])
		c.text(a.x+e.x+13, y+11, `fill="#555" font-size="10"`, e.text)
	}
	return float64(rows) * 13
}

// stack adds to each line the lines before it.
func stack(lines []line) {
	sum := map[int64]float64{}
	for _, l := range lines {
		for i, v := range l.values {
			at := v.at.UnixMilli()
			sum[at] += v.v
			l.values[i].v = sum[at]
		}
	}
}

// bounds returns the range of the axis: all values, and the fixed ends.
func bounds(p panel, lines []line) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, v := range l.values {
			low, high = math.Min(low, v.v), math.Max(high, v.v)
		}
	}
	high += (high - low) * 0.08
	if m := p.FieldConfig.Defaults.Min; m != nil {
		low = *m
	}
	if m := p.FieldConfig.Defaults.Max; m != nil {
		high = *m
	}
	if high <= low {
		high = low + 1
	}
	return low, high
}
