package main

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// Kinds of panels.
const (
	graph   = "timeseries"
	number  = "stat"
	listing = "table"
)

// Colors of thresholds.
const (
	good = "green"
	warn = "orange"
	bad  = "red"
	calm = "blue" // no judgement
)

// board describes a dashboard: rows from the most important to the least.
type board struct {
	uid, title, about string
	rows              []row
}

// row is a titled group of panels, which are laid out from left to right and
// have one height. A row without title continues the one above.
type row struct {
	title  string
	height uint32 // grid units; 0 for 8
	panels []panel
}

// panel describes one panel.
type panel struct {
	kind, title string
	normal      string // what is normal
	act         string // what to do when it is not
	unit        string
	width       uint32 // width in the 24 columns of the grid
	queries     []query
	steps       []step   // thresholds; none for a panel without judgement
	min, max    *float64 // bounds of the axis
	stacked     bool
	runbook     string   // anchor in docs/operations/alerts.md, if an alert belongs to the panel
	empty       string   // text instead of "No data", where no data is a good sign
	columns     []string // labels that a table shows
	value       string   // name of the value column of a table
}

// query is a PromQL expression with the legend of its series.
type query struct {
	expr, legend string
	exemplars    bool // draw exemplars, which link to traces
}

// step is a color and the value from which it applies.
type step struct {
	from  float64
	color string
}

// selector is the label matcher of every query about the services.
const selector = `service=~"$service", instance=~"$instance"`

func ptr[T any](v T) *T { return &v }

func datasource() common.DataSourceRef {
	return common.DataSourceRef{Type: ptr("prometheus"), Uid: ptr("${datasource}")}
}

// build returns the dashboard.
func (b board) build(docs string) (dashboard.Dashboard, error) {
	d := dashboard.NewDashboardBuilder(b.title).Uid(b.uid).Description(b.about).
		Tags([]string{"catalog"}).Timezone("browser").Refresh("10s").Time("now-1h", "now").Readonly().
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("Catalog dashboards").Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{"catalog"}).AsDropdown(true).IncludeVars(true).KeepTime(true)).
		Link(dashboard.NewDashboardLinkBuilder("Operations").Type(dashboard.DashboardLinkTypeLink).
			Url("${docs}/operations.md").TargetBlank(true)).
		Annotation(dashboard.NewAnnotationQueryBuilder().Name("Alerts").Datasource(datasource()).Enable(true).
			IconColor(bad).Expr(`ALERTS{alertstate="firing", severity=~"page|ticket"}`).TitleFormat("{{alertname}}").TextFormat("{{service}} {{instance}}")).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus").
			Current(option("Prometheus", "prometheus"))).
		WithVariable(variable("service", "Service", `label_values(catalog_build_info, service)`)).
		WithVariable(variable("instance", "Instance", `label_values(catalog_build_info{service=~"$service"}, instance)`)).
		WithVariable(dashboard.NewConstantVariableBuilder("docs").Label("Documentation").
			Value(dashboard.StringOrMap{String: ptr(docs)}))
	id, y := uint32(0), uint32(0)
	for _, r := range b.rows {
		if r.title != "" {
			id++
			d.WithRow(dashboard.NewRowBuilder(r.title).Id(id).GridPos(dashboard.GridPos{X: 0, Y: y, W: 24, H: 1}))
			y++
		}
		height, x := r.height, uint32(0)
		if height == 0 {
			height = 8
		}
		for _, p := range r.panels {
			id++
			built, err := p.build(id, dashboard.GridPos{X: x, Y: y, W: p.width, H: height})
			if err != nil {
				return dashboard.Dashboard{}, fmt.Errorf("panel %q: %w", p.title, err)
			}
			d.WithPanel(built)
			x += p.width
		}
		y += height
	}
	return d.Build()
}

func option(text, value string) dashboard.VariableOption {
	return dashboard.VariableOption{Selected: ptr(true),
		Text: dashboard.StringOrArrayOfString{String: &text}, Value: dashboard.StringOrArrayOfString{String: &value}}
}

// variable returns a variable with the values of a label: all, one or several.
func variable(name, label, query string) cog.Builder[dashboard.VariableModel] {
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(datasource()).
		Query(dashboard.StringOrMap{String: &query}).Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc).Multi(true).IncludeAll(true).Current(option("All", "$__all"))
}

// builtPanel implements cog.Builder for a panel that is already built.
type builtPanel struct{ panel dashboard.Panel }

func (b builtPanel) Build() (dashboard.Panel, error) { return b.panel, nil }

// build returns the panel with this id at this place.
func (p panel) build(id uint32, at dashboard.GridPos) (builtPanel, error) {
	var (
		built dashboard.Panel
		err   error
	)
	switch p.kind {
	case graph:
		built, err = p.graph().Build()
	case number:
		built, err = stat.NewPanelBuilder().GraphMode(common.BigValueGraphModeNone).ColorMode(common.BigValueColorModeBackground).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).Build()
	case listing:
		built, err = p.table().Build()
	default:
		err = fmt.Errorf("unknown kind %q", p.kind)
	}
	if err != nil {
		return builtPanel{}, err
	}
	for i, q := range p.queries {
		target := prometheus.NewDataqueryBuilder().RefId(string(rune('A' + i))).Datasource(datasource()).Expr(q.expr).LegendFormat(q.legend)
		switch p.kind {
		case listing:
			target.Instant().Format(prometheus.PromQueryFormatTable)
		case number:
			target.Instant()
		default:
			target.Range().Exemplar(q.exemplars)
		}
		t, err := target.Build()
		if err != nil {
			return builtPanel{}, err
		}
		built.Targets = append(built.Targets, t)
	}
	built.Id, built.GridPos, built.Title, built.Description, built.Datasource = &id, &at, &p.title, ptr(p.description()), ptr(datasource())
	if built.FieldConfig == nil {
		built.FieldConfig = dashboard.NewFieldConfigSource()
	}
	defaults := &built.FieldConfig.Defaults
	defaults.Unit, defaults.Min, defaults.Max = &p.unit, p.min, p.max
	defaults.Thresholds = &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: p.thresholds()}
	if p.kind == number && p.unit == "percentunit" {
		defaults.Decimals = ptr(2.0) // 99.95 % must not be shown as 100 %
	}
	mode := dashboard.FieldColorModeIdPaletteClassic
	if p.kind != graph {
		mode = dashboard.FieldColorModeIdThresholds
	}
	defaults.Color = &dashboard.FieldColor{Mode: mode}
	if p.empty != "" {
		defaults.NoValue = &p.empty
	}
	if p.runbook != "" {
		built.Links = []dashboard.DashboardLink{{Title: "Runbook", Type: dashboard.DashboardLinkTypeLink,
			Url: ptr("${docs}/operations/alerts.md#" + p.runbook), TargetBlank: true, Tags: []string{}}}
	}
	return builtPanel{built}, nil
}

// description says what is normal, what to do otherwise, and where to read more.
func (p panel) description() string {
	parts := []string{"Normal: " + p.normal, "Otherwise: " + p.act}
	if p.runbook != "" {
		parts = append(parts, "Runbook: docs/operations/alerts.md#"+p.runbook)
	}
	return strings.Join(parts, "\n\n")
}

func (p panel) thresholds() []dashboard.Threshold {
	base := calm
	if len(p.steps) > 0 {
		base = good
	}
	if len(p.steps) > 0 && p.steps[len(p.steps)-1].color == good { // more is better
		base = bad
	}
	all := []dashboard.Threshold{{Color: base}}
	for _, s := range p.steps {
		all = append(all, dashboard.Threshold{Value: ptr(s.from), Color: s.color})
	}
	return all
}

func (p panel) graph() *timeseries.PanelBuilder {
	b := timeseries.NewPanelBuilder().LineWidth(1).FillOpacity(10).ShowPoints(common.VisibilityModeNever).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).
			ShowLegend(true).Calcs([]string{"lastNotNull"}))
	if p.stacked {
		b.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal)).FillOpacity(40)
	}
	if len(p.steps) > 0 {
		b.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	return b
}

func (p panel) table() *table.PanelBuilder {
	shown := map[string]any{}
	for i, c := range p.columns {
		shown[c] = i
	}
	shown["Value"] = len(p.columns)
	fields := append(append([]string{}, p.columns...), "Value")
	return table.NewPanelBuilder().ShowHeader(true).
		OverrideByName("Value", []dashboard.DynamicConfigValue{{Id: "displayName", Value: p.value},
			{Id: "custom.cellOptions", Value: map[string]any{"type": "color-background"}}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "filterFieldsByName", Options: map[string]any{"include": map[string]any{"names": fields}}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{"indexByName": shown}})
}

// quantiles returns the queries of a latency panel: half, 95 % and 99 % of the
// observations of a histogram, with exemplars. by names further labels of the
// legend.
func quantiles(histogram, matchers string, by ...string) (queries []query) {
	group, legend := "le", ""
	for _, label := range by {
		group += ", " + label
		legend += " {{" + label + "}}"
	}
	for _, q := range []struct{ name, quantile string }{{"p50", "0.5"}, {"p95", "0.95"}, {"p99", "0.99"}} {
		queries = append(queries, query{
			expr:   fmt.Sprintf("histogram_quantile(%s, sum by (%s) (rate(%s_bucket{%s}[$__rate_interval])))", q.quantile, group, histogram, matchers),
			legend: q.name + legend, exemplars: true,
		})
	}
	return queries
}

// quantile returns the query of one quantile by the given labels.
func quantile(q, histogram, matchers, legend string, by ...string) query {
	return query{
		expr: fmt.Sprintf("histogram_quantile(%s, sum by (%s) (rate(%s_bucket{%s}[$__rate_interval])))",
			q, strings.Join(append([]string{"le"}, by...), ", "), histogram, matchers),
		legend: legend, exemplars: true,
	}
}

// rate returns the query of the rate of a counter by the given labels.
func rate(counter, matchers, legend string, by ...string) query {
	sum := "sum"
	if len(by) > 0 {
		sum += " by (" + strings.Join(by, ", ") + ")"
	}
	return query{expr: fmt.Sprintf("%s (rate(%s{%s}[$__rate_interval]))", sum, counter, matchers), legend: legend}
}
