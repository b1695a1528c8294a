package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// lintChart returns the warnings and errors of helm lint with the values.
func lintChart(dir string, values chartutil.Values) (findings []string) {
	for _, m := range lint.All(dir, values, "shop", true).Messages {
		if m.Severity >= support.WarningSev {
			findings = append(findings, "lint: "+m.Error())
		}
	}
	return findings
}

// render returns the manifests that helm install creates, sorted by the names of the
// templates. The schema of the chart is applied.
func render(dir string, values chartutil.Values) (string, error) {
	c, err := loader.LoadDir(dir)
	if err != nil {
		return "", err
	}
	release := chartutil.ReleaseOptions{Name: "shop", Namespace: "shop", Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(c, values, release, chartutil.DefaultCapabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := strings.TrimSpace(files[name])
		if content == "" || filepath.Base(name) == "NOTES.txt" {
			continue
		}
		fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", name, content)
	}
	return b.String(), nil
}
