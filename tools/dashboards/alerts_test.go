package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	prometheusFolder = "../../deploy/prometheus"
	alertsPage       = "../../docs/operations/alerts.md"
)

// rule is an alert or a recorded series of a rule file.
type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

// loadRules returns the rules of all rule files.
func loadRules(t *testing.T) (all []rule) {
	t.Helper()
	for _, name := range glob(t, filepath.Join(prometheusFolder, "rules", "*.yml")) {
		var content struct{ Groups []struct{ Rules []rule } }
		readYAML(t, name, &content)
		for _, g := range content.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return names
}

func readYAML(t *testing.T, name string, v any) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestAlerts(t *testing.T) {
	page, err := os.ReadFile(alertsPage)
	if err != nil {
		t.Fatal(err)
	}
	sections := regexp.MustCompile(`(?m)^### (\w+)\n\n((?:[^#\n].*\n|\n)*)`).FindAllStringSubmatch(string(page), -1)
	alerts := map[string]rule{}
	for _, r := range loadRules(t) {
		if r.Alert == "" {
			continue
		}
		if _, twice := alerts[r.Alert]; twice {
			t.Errorf("%s exists twice", r.Alert)
		}
		alerts[r.Alert] = r
		if !slices.Contains([]string{"page", "ticket", "none"}, r.Labels["severity"]) {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has no summary or no description", r.Alert)
		}
		if want := "docs/operations/alerts.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s has the runbook %q; want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
	}
	t.Run("each alert has a section, and each section an alert", func(t *testing.T) {
		documented := map[string]bool{}
		for _, s := range sections {
			documented[s[1]] = true
			r, ok := alerts[s[1]]
			if !ok {
				t.Errorf("section %s has no alert", s[1])
			}
			if severity := r.Labels["severity"]; severity != "none" && !strings.HasPrefix(strings.ToLower(s[2]), "**"+severity) {
				t.Errorf("section %s does not begin with the severity %s", s[1], severity)
			}
			if !strings.Contains(s[2], "Look here") || !strings.Contains(s[2], "Do this:") {
				t.Errorf("section %s does not say where to look and what to do", s[1])
			}
		}
		for name := range alerts {
			if !documented[name] {
				t.Errorf("alert %s has no section in %s", name, alertsPage)
			}
		}
	})
	t.Run("each alert has a test in which it fires and one in which it is quiet", func(t *testing.T) {
		fires, quiet := map[string]bool{}, map[string]bool{}
		for _, name := range glob(t, filepath.Join(prometheusFolder, "tests", "*_test.yml")) {
			var content struct {
				Tests []struct {
					Cases []struct {
						Alert    string `yaml:"alertname"`
						Expected []any  `yaml:"exp_alerts"`
					} `yaml:"alert_rule_test"`
				}
			}
			readYAML(t, name, &content)
			for _, test := range content.Tests {
				for _, c := range test.Cases {
					if len(c.Expected) > 0 {
						fires[c.Alert] = true
					} else {
						quiet[c.Alert] = true
					}
				}
			}
		}
		for name := range alerts {
			if !fires[name] || !quiet[name] && name != "Watchdog" {
				t.Errorf("%s: a test in which it fires: %t, in which it is quiet: %t", name, fires[name], quiet[name])
			}
		}
	})
}

// TestDashboards_links checks that runbook links of panels lead to sections.
func TestDashboards_links(t *testing.T) {
	page, err := os.ReadFile(alertsPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range glob(t, filepath.Join(folder, "*.json")) {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d file
		if err := json.Unmarshal(content, &d); err != nil {
			t.Fatal(err)
		}
		for _, p := range d.Panels {
			for _, l := range p.Links {
				_, anchor, _ := strings.Cut(l.URL, "#")
				if !strings.Contains(strings.ToLower(string(page)), "\n### "+anchor+"\n") {
					t.Errorf("%s, panel %q: no section for %s", filepath.Base(name), p.Title, l.URL)
				}
			}
		}
	}
}
