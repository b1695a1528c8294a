// Package metricstest reads metrics in tests.
package metricstest

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Value returns the sum of the series of that name that have the labels, which are
// pairs of name and value; more labels do not matter. Of a histogram it returns the
// number of observations. It returns 0 when there is no such series.
func Value(t testing.TB, from prometheus.Gatherer, name string, labels ...string) (sum float64) {
	t.Helper()
	for _, m := range series(t, from, name, labels) {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}

// Exemplars returns the trace ids of the exemplars of a histogram.
func Exemplars(t testing.TB, from prometheus.Gatherer, name string, labels ...string) (traces []string) {
	t.Helper()
	for _, m := range series(t, from, name, labels) {
		for _, b := range m.GetHistogram().GetBucket() {
			for _, l := range b.GetExemplar().GetLabel() {
				traces = append(traces, l.GetValue())
			}
		}
	}
	return traces
}

// Count returns how many time series Prometheus stores for the families whose names
// begin with one of the prefixes; without prefixes, for all of them.
func Count(t testing.TB, from prometheus.Gatherer, prefixes ...string) (n int) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		wanted := len(prefixes) == 0
		for _, p := range prefixes {
			wanted = wanted || strings.HasPrefix(f.GetName(), p)
		}
		if !wanted {
			continue
		}
		for _, m := range f.GetMetric() {
			switch {
			case m.GetHistogram() != nil:
				n += len(m.GetHistogram().GetBucket()) + 3 // +Inf, sum, count
			case m.GetSummary() != nil:
				n += len(m.GetSummary().GetQuantile()) + 2
			default:
				n++
			}
		}
	}
	return n
}

func series(t testing.TB, from prometheus.Gatherer, name string, labels []string) (found []*dto.Metric) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			values := map[string]string{}
			for _, l := range m.GetLabel() {
				values[l.GetName()] = l.GetValue()
			}
			has := true
			for i := 0; i+1 < len(labels); i += 2 {
				has = has && values[labels[i]] == labels[i+1]
			}
			if has {
				found = append(found, m)
			}
		}
	}
	return found
}
