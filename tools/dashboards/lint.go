package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// file is the part of a dashboard file that the rules need, as Grafana reads
// it.
type file struct {
	UID, Title, Description string
	Tags                    []string
	Refresh                 string
	Templating              struct {
		List []struct {
			Name, Type string
			Query      string
			Datasource *source
		}
	}
	Panels []filePanel
}

type source struct{ UID string }

type filePanel struct {
	Type, Title, Description string
	Datasource               *source
	GridPos                  struct{ H, W, X, Y int }
	Links                    []struct{ Title, URL string }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []target
}

type target struct {
	Expr, LegendFormat string
	Datasource         *source
	Instant            bool
}

// variables replaces Grafana's variables, so that an expression can be parsed.
// The duration stands for $__rate_interval and occurs nowhere else.
var variables = strings.NewReplacer("$__rate_interval", rateInterval, "$service", "SERVICE", "$instance", "INSTANCE")

const rateInterval = "61s"

var (
	legendLabel = regexp.MustCompile(`{{(\w+)}}`)
	counterName = regexp.MustCompile(`(_total|_count|_sum|_bucket)$`)
	// Counters of exporters that keep the names of their engines.
	oddCounters = regexp.MustCompile(`^(pg_stat_database_xact_(commit|rollback)|mongodb_ss_opcounters)$`)
	// Gauges whose names end like those of counters.
	oddGauges = regexp.MustCompile(`^(db_client_connection_count|pg_stat_activity_count)$`)
	// Series that have no instance: recorded rules and alerts.
	rules = regexp.MustCompile(`^(slo:|ALERTS$)`)
)

// lint returns the rules that the dashboard file breaks. They are those of
// Grafana's linter, as far as they apply, and some of this project: a panel says
// what is normal and what to do, and a row has at most six panels.
func lint(name string, content []byte) []string {
	var d file
	if err := json.Unmarshal(content, &d); err != nil {
		return []string{err.Error()}
	}
	var problems []string
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if d.UID+".json" != name {
		report("the file is not named after the uid %q", d.UID)
	}
	if d.Title == "" || d.Description == "" || d.Refresh == "" || !slices.Contains(d.Tags, "catalog") {
		report("title, description, refresh or the tag catalog is missing")
	}
	for _, v := range []struct{ name, kind string }{{"datasource", "datasource"}, {"service", "query"}, {"instance", "query"}, {"docs", "constant"}} {
		found := false
		for _, has := range d.Templating.List {
			found = found || has.Name == v.name && has.Type == v.kind
		}
		if !found {
			report("variable %s of type %s is missing", v.name, v.kind)
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" && (v.Datasource == nil || v.Datasource.UID != "${datasource}") {
			report("variable %s: the data source is not the variable", v.Name)
		}
	}
	inRow := map[int]int{}
	for i, p := range d.Panels {
		report := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("panel %q: "+format, append([]any{p.Title}, args...)...))
		}
		if p.Title == "" {
			report("no title")
		}
		if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W <= 0 || p.GridPos.H <= 0 {
			report("does not fit into the 24 columns")
		}
		for _, other := range d.Panels[:i] {
			a, b := p.GridPos, other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				report("overlaps panel %q", other.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		if inRow[p.GridPos.Y]++; inRow[p.GridPos.Y] > 6 {
			report("the row has more than six panels")
		}
		for _, problem := range lintPanel(p) {
			report("%s", problem)
		}
	}
	return problems
}

func lintPanel(p filePanel) (problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if !strings.Contains(p.Description, "Normal: ") || !strings.Contains(p.Description, "Otherwise: ") {
		report("the description does not say what is normal and what to do otherwise")
	}
	if p.FieldConfig.Defaults.Unit == "" {
		report("no unit")
	}
	if p.Datasource == nil || p.Datasource.UID != "${datasource}" {
		report("the data source is not the variable")
	}
	if !slices.Contains([]string{graph, number, listing}, p.Type) {
		report("type %s is not one of the three in use", p.Type)
	}
	if len(p.Targets) == 0 {
		report("no query")
	}
	for _, l := range p.Links {
		if !strings.HasPrefix(l.URL, "${docs}/") {
			report("link %q does not begin with the variable docs", l.URL)
		}
	}
	for _, t := range p.Targets {
		for _, problem := range lintTarget(p, t) {
			report("query %s: %s", t.Expr, problem)
		}
	}
	return problems
}

func lintTarget(p filePanel, t target) (problems []string) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if t.Datasource == nil || t.Datasource.UID != "${datasource}" {
		report("the data source is not the variable")
	}
	if p.Type == graph && t.LegendFormat == "" {
		report("no legend")
	}
	if p.Type != graph && !t.Instant {
		report("not an instant query")
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(variables.Replace(t.Expr))
	if err != nil {
		return append(problems, err.Error())
	}
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			if problem := lintSelector(n); problem != "" {
				report("%s", problem)
			}
			if call := enclosingCall(path); counter(n.Name) && (call == nil || !overRange(call)) {
				report("counter %s without rate or increase", n.Name)
			}
		case *parser.Call:
			if n.Func.Name == "irate" || n.Func.Name == "delta" {
				report("%s hides peaks; use rate", n.Func.Name)
			}
			if !overRange(n) {
				break
			}
			m := n.Args[0].(*parser.MatrixSelector)
			if name := m.VectorSelector.(*parser.VectorSelector).Name; !counter(name) {
				report("%s of the gauge %s", n.Func.Name, name)
			}
			if n.Func.Name == "rate" && m.Range.String() != "1m1s" {
				report("rate over %v instead of $__rate_interval", m.Range)
			}
		}
		return nil
	})
	for _, label := range legendLabel.FindAllStringSubmatch(t.LegendFormat, -1) {
		if !grouped(expr, label[1]) {
			report("the legend has the label %s, which the query does not keep", label[1])
		}
	}
	return problems
}

// lintSelector says what is wrong with the matchers of a selector: a series of
// a service must be chosen by the variables, others by their job.
func lintSelector(s *parser.VectorSelector) string {
	matchers := map[string]string{}
	for _, m := range s.LabelMatchers {
		if m.Name != labels.MetricName {
			matchers[m.Name] = m.Value
		}
	}
	switch job := matchers["job"]; {
	case rules.MatchString(s.Name):
		return ""
	case matchers["service"] == "SERVICE" && matchers["instance"] == "INSTANCE":
		return ""
	case job == "catalog" && s.Name == "up", job == "engines", job == "node":
		return ""
	}
	return s.Name + " is not restricted by $service and $instance, or by a job"
}

func counter(name string) bool {
	return counterName.MatchString(name) && !oddGauges.MatchString(name) || oddCounters.MatchString(name)
}

func overRange(c *parser.Call) bool { return c.Func.Name == "rate" || c.Func.Name == "increase" }

// enclosingCall returns the innermost function call on the path to a node.
func enclosingCall(path []parser.Node) *parser.Call {
	for _, n := range slices.Backward(path) {
		if c, ok := n.(*parser.Call); ok {
			return c
		}
	}
	return nil
}

// grouped reports whether the result of the expression can have the label.
func grouped(expr parser.Expr, label string) bool {
	found, aggregated := false, false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if a, ok := node.(*parser.AggregateExpr); ok && a.Op != parser.TOPK {
			aggregated = true
			found = found || !a.Without && slices.Contains(a.Grouping, label)
		}
		return nil
	})
	return found || !aggregated
}
