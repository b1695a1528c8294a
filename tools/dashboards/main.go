// Command dashboards writes the Grafana dashboards of the system as JSON files. The
// dashboards are typed Go in this package: overview, write path, read path,
// engines, Go runtime and business. The rules that every dashboard must keep are
// in lint.go.
//
//	go run -C tools ./dashboards [-out ../deploy/grafana/dashboards] [-docs URL]
//
// Grafana's own linter is not used, because it cannot be installed everywhere. The
// model of package dashboard is the classic one, which the SDK calls deprecated:
// every version of Grafana loads it from files, the newer one only recent versions.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// docsURL is the default of the variable "docs" of every dashboard: where the
// documentation is published. An operator sets it once per installation.
const docsURL = "https://example.com/catalog/docs"

func main() {
	out := flag.String("out", "../deploy/grafana/dashboards", "`folder` of the dashboard files")
	docs := flag.String("docs", docsURL, "`URL` of the published docs folder, for links to runbooks")
	flag.Parse()
	if err := write(*out, *docs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write writes all dashboards to the folder. It fails when a dashboard breaks a
// rule.
func write(out, docs string) error {
	files, err := generate(docs)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if problems := lint(name, content); len(problems) > 0 {
			return fmt.Errorf("%s breaks rules:\n%s", name, lines(problems))
		}
		if err := os.WriteFile(filepath.Join(out, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func lines(problems []string) (text string) {
	for _, p := range problems {
		text += "\t" + p + "\n"
	}
	return text
}

// generate returns the content of every dashboard file by its name.
func generate(docs string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, b := range []board{overview(), writePath(), readPath(), engines(), goRuntime(), business()} {
		d, err := b.build(docs)
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.uid, err)
		}
		content, err := encode(d)
		if err != nil {
			return nil, err
		}
		files[b.uid+".json"] = content
	}
	return files, nil
}

func encode(d dashboard.Dashboard) ([]byte, error) {
	content, err := json.MarshalIndent(d, "", "  ")
	return append(content, '\n'), err
}
