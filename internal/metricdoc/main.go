// Command metricdoc writes docs/metrics.md from the places in the source at which
// metrics are made. Run it with go generate.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func main() {
	root := flag.String("root", "../..", "`folder` of the repository")
	flag.Parse()
	text, err := document(*root)
	if err == nil {
		err = os.WriteFile(filepath.Join(*root, "docs", "metrics.md"), []byte(text), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// metric is what the document says of a metric.
type metric struct {
	name, kind, help string
	labels           []string
	services         []string
}

// programs lists the services that use a package; all three use the others.
var programs = []struct{ folder, services string }{
	{"gateway", "gateway"},
	{"writer", "writer"},
	{"reader", "reader"},
	{"engine/postgres", "writer"},
	{"engine/mongo", "reader"},
	{"engine/redis", "reader"},
	{"internal/changefeed", "gateway reader"},
}

// services lists the services of metrics in packages that all services use, where only
// some have the metric.
var services = map[string]string{
	"catalog_cache_lookups_total":                 "gateway reader",
	"catalog_disk_free_bytes":                     "gateway reader",
	"catalog_disk_size_bytes":                     "gateway reader",
	"catalog_requests_shed_total":                 "gateway reader",
	"db_client_connection_count":                  "writer reader",
	"db_client_connection_max":                    "writer reader",
	"db_client_connection_pending_requests":       "reader",
	"db_client_connection_timeouts_total":         "writer reader",
	"db_client_connection_wait_time_seconds":      "writer reader",
	"db_client_operation_duration_seconds":        "writer reader",
	"messaging_client_operation_duration_seconds": "gateway writer",
	"rpc_client_call_duration_seconds":            "gateway reader",
	"rpc_server_call_duration_seconds":            "writer reader",
}

// servicesOf returns the services that have the metric of a package.
func servicesOf(folder, name string) []string {
	if only := services[name]; only != "" {
		return strings.Fields(only)
	}
	for _, p := range programs {
		if folder == p.folder || strings.HasPrefix(folder, p.folder+"/") {
			return strings.Fields(p.services)
		}
	}
	return []string{"gateway", "writer", "reader"}
}

// document returns the metrics as Markdown.
func document(root string) (string, error) {
	all, err := findMetrics(root)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(`# Metrics

<!-- Generated from the source by go generate ./internal/metrics; do not edit. -->

Every service serves its metrics at ` + "`/metrics`" + ` of its admin address (` + "`-admin`" + `), in the format of Prometheus or, with
exemplars, of OpenMetrics. ` + "`catalog up`" + ` has the metrics of all three services. Names and labels of the first table follow
OpenTelemetry's semantic conventions in Prometheus form. Units are the base units of Prometheus: seconds and bytes. A
histogram ` + "`x`" + ` is the series ` + "`x_bucket`, `x_sum` and `x_count`" + `. No client chooses the value of a label; ` + "`_OTHER`" + ` stands for all
unknown ones. In OpenMetrics the bound of a bucket is ` + "`le=\"1.0\"`, in the older format `le=\"1\"`" + `: match both with
` + "`le=~\"1|1.0\"`" + `. [ADR 45](adr/0045-metrics-with-few-series.md) has the reasons.
`)
	table := func(title string, of func(metric) bool) {
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | services | meaning |\n|---|---|---|---|---|\n", title)
		for _, m := range all {
			if of(m) {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.name, m.kind, strings.Join(m.labels, ", "), strings.Join(m.services, ", "), m.help)
			}
		}
	}
	own := func(m metric) bool { return strings.HasPrefix(m.name, "catalog_") }
	table("OpenTelemetry's names", func(m metric) bool { return !own(m) })
	table("The catalogue's own", own)
	b.WriteString(`
## Runtime and process

Every service has the metrics ` + "`go_*` and `process_*`" + ` of Prometheus' client for Go, and ` + "`go_sched_latencies_seconds`" + `, the time for
which goroutines waited for a CPU.
`)
	return b.String(), nil
}

// findMetrics returns the metrics of the programs, sorted by name.
func findMetrics(root string) ([]metric, error) {
	byName := map[string]metric{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != root && (strings.HasPrefix(base, ".") || base == "test" || base == "tools" || base == "testdata" || base == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		in, err := metricsOf(file)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, m := range in {
			if dir == "internal/changefeed" {
				m.labels = append(m.labels, "service") // the users of the metric add this label
			}
			if known, ok := byName[m.name]; ok && (known.help != m.help || known.kind != m.kind || !slices.Equal(known.labels, m.labels)) {
				return fmt.Errorf("%s is made twice, with different types, labels or texts", m.name)
			}
			m.services = servicesOf(filepath.ToSlash(dir), m.name)
			byName[m.name] = m
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var all []metric
	for _, m := range byName {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b metric) int { return cmp.Compare(a.name, b.name) })
	return all, nil
}

// kinds are the functions that make metrics, with the types of these.
var kinds = map[string]string{
	"NewCounter": "counter", "NewCounterVec": "counter", "NewCounterFunc": "counter",
	"NewGauge": "gauge", "NewGaugeVec": "gauge", "NewGaugeFunc": "gauge",
	"NewHistogram": "histogram", "NewHistogramVec": "histogram", "NewDesc": "",
}

// metricsOf returns the metrics that a file makes. A metric whose name, text or labels
// are not literals is an error.
func metricsOf(file *ast.File) (all []metric, err error) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || err != nil {
			return err == nil
		}
		s, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if pkg, ok := s.X.(*ast.Ident); !ok || pkg.Name != "prometheus" {
			return true
		}
		kind, ok := kinds[s.Sel.Name]
		if !ok {
			return true
		}
		m := metric{kind: kind}
		if s.Sel.Name == "NewDesc" {
			m.name, m.help = text(call.Args[0]), text(call.Args[1])
			m.labels = append(keys(call.Args[3]), texts(call.Args[2])...)
			m.kind = kindOf(m.name)
		} else {
			m.labels = readOpts(call.Args[0], &m)
			if len(call.Args) > 1 && strings.HasSuffix(s.Sel.Name, "Vec") {
				m.labels = append(m.labels, texts(call.Args[1])...)
			}
		}
		if m.name == "" || m.help == "" {
			err = fmt.Errorf("the name or the text of a metric in %s is not a literal", s.Sel.Name)
		}
		all = append(all, m)
		return true
	})
	return all, err
}

// kindOf returns the type of a metric of a collector of its own.
func kindOf(name string) string {
	switch {
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case strings.HasSuffix(name, "_wait_time_seconds"):
		return "histogram"
	}
	return "gauge"
}

// readOpts sets name and text of m from the options, and returns the constant labels.
func readOpts(e ast.Expr, m *metric) (labels []string) {
	opts, ok := e.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	for _, field := range opts.Elts {
		kv, ok := field.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch kv.Key.(*ast.Ident).Name {
		case "Name":
			m.name = text(kv.Value)
		case "Help":
			m.help = text(kv.Value)
		case "ConstLabels":
			labels = keys(kv.Value)
		}
	}
	return labels
}

// text returns the value of a string literal, or of a sum of them; else "".
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.BinaryExpr:
		return text(e.X) + text(e.Y)
	}
	return ""
}

func texts(e ast.Expr) (all []string) {
	if list, ok := e.(*ast.CompositeLit); ok {
		for _, item := range list.Elts {
			all = append(all, text(item))
		}
	}
	return all
}

// keys returns the keys of a literal of labels; those of a variable named labels are
// read where it is defined.
func keys(e ast.Expr) (all []string) {
	if id, ok := e.(*ast.Ident); ok && id.Obj != nil {
		if define, ok := id.Obj.Decl.(*ast.AssignStmt); ok && len(define.Rhs) == 1 {
			e = define.Rhs[0]
		}
	}
	if list, ok := e.(*ast.CompositeLit); ok {
		for _, item := range list.Elts {
			if kv, ok := item.(*ast.KeyValueExpr); ok {
				all = append(all, text(kv.Key))
			}
		}
	}
	return all
}
