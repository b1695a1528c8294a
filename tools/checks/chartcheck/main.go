// Command chartcheck checks the Helm chart in deploy/chart without a cluster. It lints the
// chart, renders it with each values file in deploy/chart/testdata, decodes the objects
// strictly by the Go types of Kubernetes, holds them against the rules of this package and
// against golden files, and checks that the table of values in its README is up to date.
//
//	go run -C tools/checks ./chartcheck [-dir ../..] [-write]
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chartutil"
)

func main() {
	dir := flag.String("dir", "../..", "`folder` of the repository")
	write := flag.Bool("write", false, "write golden files and README instead of comparing them")
	flag.Parse()
	log.SetOutput(io.Discard) // helm logs every symbolic link
	flags, err := programFlags(*dir)
	if err != nil {
		fail(err)
	}
	findings, err := check(filepath.Join(*dir, chartDir), flags, *write)
	if err != nil {
		fail(err)
	}
	for _, f := range findings {
		fmt.Println(f)
	}
	if len(findings) > 0 {
		fail(fmt.Errorf("%d findings", len(findings)))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "chartcheck:", err)
	os.Exit(1)
}

// chartDir is the folder of the chart in the repository.
const chartDir = "deploy/chart"

// check returns what is wrong with the chart in the folder dir.
func check(dir string, flags programs, write bool) ([]string, error) {
	var findings []string
	readme, err := syncReadme(dir, write)
	if err != nil {
		return nil, err
	}
	findings = append(findings, readme...)
	examples, err := checkExamples(dir)
	if err != nil {
		return nil, err
	}
	findings = append(findings, examples...)
	files, err := filepath.Glob(filepath.Join(dir, "testdata", "*.values.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("no testdata/*.values.yaml in " + dir)
	}
	for i, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".values.yaml")
		prefix := func(texts []string) (prefixed []string) {
			for _, text := range texts {
				prefixed = append(prefixed, name+": "+text)
			}
			return prefixed
		}
		values, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return nil, err
		}
		if i == 0 { // the findings of lint do not depend on the values
			findings = append(findings, prefix(lintChart(dir, values))...)
		}
		rendered, err := render(dir, values)
		if err != nil {
			findings = append(findings, prefix([]string{err.Error()})...)
			continue
		}
		objects, wrong := decode(rendered)
		golden, err := syncGolden(filepath.Join(dir, "testdata", name+".golden.yaml"), shorten(rendered), write)
		if err != nil {
			return nil, err
		}
		findings = append(findings, prefix(slices.Concat(golden, wrong))...)
		if len(wrong) == 0 {
			findings = append(findings, prefix(objects.check(flags))...)
		}
	}
	return findings, nil
}

// differs is part of every finding about golden files.
const differs = "differs from the rendering"

// syncGolden compares the file with want, or writes it.
func syncGolden(file, want string, write bool) ([]string, error) {
	if write {
		return nil, os.WriteFile(file, []byte(want), 0o644)
	}
	got, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if string(got) == want {
		return nil, nil
	}
	return []string{fmt.Sprintf("%s %s: %s; run make chart-write and look at the difference", filepath.Base(file), differs, firstDifference(string(got), want))}, nil
}

// shorten leaves out the contents of rules and dashboards, which have their own tests, so that
// golden files change with the chart alone.
func shorten(manifests string) string {
	documents := separator.Split(manifests, -1)
	for i, document := range documents {
		for _, cut := range []struct{ kind, field string }{{"\nkind: PrometheusRule\n", "\nspec:\n"}, {"\nkind: ConfigMap\n", "\ndata:\n"}} {
			if before, _, ok := strings.Cut(document, cut.field); ok && strings.Contains(document, cut.kind) {
				documents[i] = before + cut.field + "  # left out\n"
			}
		}
	}
	return strings.Join(documents, "---")
}

// firstDifference describes the first line in which two texts differ.
func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("line %d is %q, not %q", i+1, x, y)
		}
	}
	return "no line"
}
