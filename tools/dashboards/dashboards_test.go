package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const folder = "../../deploy/grafana/dashboards"

func TestDashboards_files(t *testing.T) {
	want, err := generate(docsURL)
	if err != nil {
		t.Fatal(err)
	}
	have, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(have) != len(want) {
		t.Errorf("%d files %v; want %d", len(have), have, len(want))
	}
	for name, content := range want {
		t.Run(name+" is as the code says", func(t *testing.T) {
			if file, err := os.ReadFile(filepath.Join(folder, name)); err != nil || !bytes.Equal(file, content) {
				t.Errorf("%s differs from the code (%v); run make dashboards", name, err)
			}
		})
		t.Run(name+" keeps the rules", func(t *testing.T) {
			for _, problem := range lint(name, content) {
				t.Error(problem)
			}
		})
	}
}

// TestDashboards_rules plants mistakes into the overview and checks that lint
// reports each of them.
func TestDashboards_rules(t *testing.T) {
	files, err := generate(docsURL)
	if err != nil {
		t.Fatal(err)
	}
	const name = "catalog-overview.json"
	for _, test := range []struct{ mistake, old, new, want string }{
		{"a fixed data source", `"uid": "${datasource}"`, `"uid": "prometheus"`, "the data source is not the variable"},
		{"no unit", `"unit": "percentunit"`, `"unit": ""`, "no unit"},
		{"no advice", `Otherwise: `, ``, "what to do otherwise"},
		{"a broken query", `sum by (http_response_status_code) (`, `sum by (http_response_status_code) ((`, "parse error"},
		{"a fixed interval", `$__rate_interval`, `5m`, "instead of $__rate_interval"},
		{"a counter without rate", `rate(http_server_request_duration_seconds_count{service=~\"$service\", instance=~\"$instance\"}[$__rate_interval])`,
			`http_server_request_duration_seconds_count{service=~\"$service\", instance=~\"$instance\"}`, "without rate or increase"},
		{"the rate of a gauge", `max by (consumer) (catalog_kafka_lag_seconds{service=~\"$service\", instance=~\"$instance\"})`,
			`max by (consumer) (rate(catalog_kafka_lag_seconds{service=~\"$service\", instance=~\"$instance\"}[$__rate_interval]))`, "of the gauge"},
		{"no matcher for the instance", `catalog_shards_stopped{service=~\"$service\", instance=~\"$instance\"}`, `catalog_shards_stopped`, "is not restricted by"},
		{"a legend without label", `"legendFormat": "{{consumer}}"`, `"legendFormat": "{{partition}}"`, "which the query does not keep"},
		{"no legend", `"legendFormat": "{{consumer}}"`, `"legendFormat": ""`, "no legend"},
		{"no variable", `"name": "instance"`, `"name": "host"`, "variable instance"},
		{"a panel outside of the grid", `"w": 8,`, `"w": 25,`, "does not fit"},
		{"panels on top of each other", `"x": 8,`, `"x": 0,`, "overlaps"},
		{"a link elsewhere", `${docs}/operations/alerts.md`, `https://example.com/alerts`, "does not begin with the variable docs"},
	} {
		t.Run(test.mistake, func(t *testing.T) {
			broken := strings.ReplaceAll(string(files[name]), test.old, test.new)
			if broken == string(files[name]) {
				t.Fatalf("the mistake cannot be planted: %q is not in the file", test.old)
			}
			if problems := strings.Join(lint(name, []byte(broken)), "\n"); !strings.Contains(problems, test.want) {
				t.Errorf("lint = %q; want %q", problems, test.want)
			}
		})
	}
}
