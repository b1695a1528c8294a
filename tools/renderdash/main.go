// Command renderdash draws the Grafana dashboards of the repository as SVG
// pictures, from the data of a Prometheus. It serves documents, and the check by
// eye that each panel shows something useful, where no Grafana is at hand. It
// draws what the dashboards use: time series, single values and tables, with
// units, thresholds and exemplars. It is not a copy of Grafana: colors and fonts
// differ.
//
//	go run -C tools ./renderdash -prometheus http://127.0.0.1:9090 [-range 5m] [-ago 0s] [-out DIR] [dashboard.json …]
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	url := flag.String("prometheus", "http://127.0.0.1:9090", "`URL` of Prometheus")
	span := flag.Duration("range", 5*time.Minute, "`time` that the pictures show")
	ago := flag.Duration("ago", 0, "`time` between the end of the pictures and now")
	out := flag.String("out", ".", "`folder` of the pictures")
	flag.Parse()
	files := flag.Args()
	if len(files) == 0 {
		files, _ = filepath.Glob("../deploy/grafana/dashboards/*.json")
	}
	for _, name := range files {
		picture, err := render(name, *url, time.Now().Add(-*ago), *span)
		if err == nil {
			err = os.WriteFile(filepath.Join(*out, strings.TrimSuffix(filepath.Base(name), ".json")+".svg"), picture, 0o644)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

// dashboard is the part of a dashboard file that the renderer reads.
type dashboard struct {
	Title  string
	Panels []panel
}

type panel struct {
	Type, Title string
	GridPos     struct{ H, W, X, Y int }
	Targets     []struct {
		Expr, LegendFormat string
		Exemplar           bool
	}
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Min, Max   *float64
			NoValue    string
			Thresholds struct {
				Steps []struct {
					Value *float64
					Color string
				}
			}
			Custom struct{ Stacking struct{ Mode string } }
		}
		Overrides []struct {
			Matcher    struct{ Options string }
			Properties []struct {
				ID    string
				Value any
			}
		}
	}
	Transformations []struct {
		ID      string
		Options struct{ IndexByName map[string]int }
	}
}

// render draws a dashboard as it was at the time.
func render(name, prometheus string, at time.Time, span time.Duration) ([]byte, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var d dashboard
	if err := json.Unmarshal(content, &d); err != nil {
		return nil, err
	}
	source := source{url: prometheus, from: at.Add(-span), to: at}
	c := newCanvas(d, source)
	for _, p := range d.Panels {
		if err := c.panel(p); err != nil {
			return nil, fmt.Errorf("panel %q: %w", p.Title, err)
		}
	}
	return c.bytes(), nil
}
