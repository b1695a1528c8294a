package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

// points is the number of values of a line.
const points = 90

// source queries Prometheus for the time range of a picture.
type source struct {
	url      string
	from, to time.Time
}

// series is a result of a query: labels, and values at times.
type series struct {
	labels map[string]string
	values []value
}

type value struct {
	at time.Time
	v  float64
}

func (s source) step() time.Duration {
	return max(s.to.Sub(s.from)/points, time.Second)
}

// expand replaces Grafana's variables: all services, and an interval of at least
// four scrapes, as Grafana does.
func (s source) expand(expr string) string {
	interval := max(4*s.step(), 15*time.Second)
	return strings.NewReplacer("$__rate_interval", fmt.Sprintf("%ds", int(interval.Seconds())), "$service", ".+", "$instance", ".+").Replace(expr)
}

// instant returns the values of the expression at the end of the range.
func (s source) instant(expr string) ([]series, error) {
	return s.query("/api/v1/query", url.Values{"query": {s.expand(expr)}, "time": {seconds(s.to)}})
}

// over returns the values of the expression over the range.
func (s source) over(expr string) ([]series, error) {
	return s.query("/api/v1/query_range", url.Values{"query": {s.expand(expr)}, "start": {seconds(s.from)}, "end": {seconds(s.to)}, "step": {fmt.Sprint(s.step().Seconds())}})
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

func (s source) query(path string, parameters url.Values) ([]series, error) {
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  *[2]any
			Values [][2]any
		}
	}
	if err := s.get(path, parameters, &data); err != nil {
		return nil, err
	}
	var all []series
	for _, r := range data.Result {
		one := series{labels: r.Metric}
		if r.Value != nil {
			r.Values = append(r.Values, *r.Value)
		}
		for _, pair := range r.Values {
			at, _ := pair[0].(float64)
			text, _ := pair[1].(string)
			if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
				one.values = append(one.values, value{time.UnixMilli(int64(at * 1000)), v})
			}
		}
		if len(one.values) > 0 {
			all = append(all, one)
		}
	}
	if path == "/api/v1/query_range" {
		sort.Slice(all, func(i, j int) bool { return fmt.Sprint(all[i].labels) < fmt.Sprint(all[j].labels) })
	}
	return all, nil
}

// exemplars returns the exemplars of the expression's series within the range.
func (s source) exemplars(expr string) ([]value, error) {
	var data []struct {
		Exemplars []struct {
			Value     string
			Timestamp float64
		}
	}
	if err := s.get("/api/v1/query_exemplars", url.Values{"query": {s.expand(expr)}, "start": {seconds(s.from)}, "end": {seconds(s.to)}}, &data); err != nil {
		return nil, err
	}
	var all []value
	for _, one := range data {
		for _, e := range one.Exemplars {
			if v, err := strconv.ParseFloat(e.Value, 64); err == nil {
				all = append(all, value{time.UnixMilli(int64(e.Timestamp * 1000)), v})
			}
		}
	}
	return all, nil
}

func (s source) get(path string, parameters url.Values, data any) error {
	r, err := http.Get(s.url + path + "?" + parameters.Encode())
	if err != nil {
		return err
	}
	defer r.Body.Close()
	response := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(r.Body).Decode(&response); err != nil {
		return err
	}
	if response.Status != "success" {
		return fmt.Errorf("%s: %s", parameters.Get("query"), response.Error)
	}
	return nil
}

var legendLabel = regexp.MustCompile(`{{(\w+)}}`)

// legend returns the name of a series.
func legend(format string, labels map[string]string) string {
	return strings.TrimSpace(legendLabel.ReplaceAllStringFunc(format, func(l string) string { return labels[strings.Trim(l, "{}")] }))
}

// text returns the value with its unit.
func text(v float64, unit string, now time.Time) string {
	scaled := func(v, base float64, units ...string) string {
		i := 0
		for ; math.Abs(v) >= base && i < len(units)-1; i++ {
			v /= base
		}
		return short(v) + units[i]
	}
	switch unit {
	case "s":
		switch a := math.Abs(v); {
		case a == 0:
			return "0 s"
		case a < 1e-3:
			return short(v*1e6) + " µs"
		case a < 1:
			return short(v*1e3) + " ms"
		case a < 120:
			return short(v) + " s"
		case a < 7200:
			return short(v/60) + " min"
		}
		return short(v/3600) + " h"
	case "percentunit":
		return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v*100, 'f', 2, 64), "0"), ".") + " %"
	case "bytes":
		return scaled(v, 1024, " B", " KiB", " MiB", " GiB", " TiB")
	case "Bps":
		return scaled(v, 1000, " B/s", " kB/s", " MB/s", " GB/s")
	case "reqps":
		return short(v) + " req/s"
	case "cps":
		return short(v) + " /s"
	case "cpm":
		return short(v) + " /min"
	case "short":
		return scaled(v, 1000, "", " K", " M", " G")
	case "dateTimeFromNow":
		return now.Sub(time.UnixMilli(int64(v))).Round(time.Second).String() + " ago"
	}
	return short(v)
}

// short returns the value with at most three significant digits.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95 || a == math.Trunc(a):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v, 'f', 2, 64), "0"), ".")
}
