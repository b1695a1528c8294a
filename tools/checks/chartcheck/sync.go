package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

const beginTable, endTable = "<!-- begin of values, generated from values.yaml -->\n", "<!-- end of values -->\n"

// syncReadme compares the table of values in the README of the chart with values.yaml, or
// writes it.
func syncReadme(chart string, write bool) ([]string, error) {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return nil, err
	}
	table, err := valuesTable(values)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(chart, "README.md")
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	before, rest, ok1 := strings.Cut(string(content), beginTable)
	_, after, ok2 := strings.Cut(rest, endTable)
	if !ok1 || !ok2 {
		return []string{"README.md has no place for the table of values"}, nil
	}
	want := before + beginTable + "\n" + table + "\n" + endTable + after
	if want == string(content) {
		return nil, nil
	}
	if write {
		return nil, os.WriteFile(file, []byte(want), 0o644)
	}
	return []string{"README.md does not have the table of values.yaml; run make chart-write"}, nil
}

// valuesTable returns a Markdown table of the values, with their defaults and the comments
// above them.
func valuesTable(values []byte) (string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(values, &document); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| value | default | |\n|---|---|---|\n")
	err := describe(&b, "", document.Content[0])
	return b.String(), err
}

func describe(b *strings.Builder, path string, mapping *yaml.Node) error {
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name := path + key.Value
		text := strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(key.HeadComment, "\n# ", " "), "# ", ""))
		if value.Kind == yaml.MappingNode && value.Style != yaml.FlowStyle {
			if err := describe(b, name+".", value); err != nil {
				return err
			}
			continue
		}
		printed, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "| `%s` | `%s` | %s |\n", name, strings.TrimSpace(string(printed)), strings.ReplaceAll(text, "|", "\\|"))
	}
	return nil
}
