package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// load loads Compose files of deploy as Docker Compose does: checked against the schema, with
// deploy/.env, and with the services of the profiles alone. Without profiles, those of
// COMPOSE_PROFILES in deploy/.env are active.
func load(ctx context.Context, r repository, files, profiles []string) (*types.Project, error) {
	var paths []string
	for _, f := range files {
		paths = append(paths, r.deploy(f))
	}
	o, err := cli.NewProjectOptions(paths,
		cli.WithWorkingDirectory(r.deploy("")),
		cli.WithEnvFiles(), cli.WithDotEnv, // not the environment of this process
		cli.WithDefaultProfiles(profiles...),
		cli.WithResolvedPaths(true), cli.WithConsistency(true))
	if err != nil {
		return nil, err
	}
	return o.LoadProject(ctx)
}

var flagVariable = regexp.MustCompile(`\[\$(CATALOG_\w+)\]`)

// programFlags returns the CATALOG_ variables that each program of the repository reads, from
// what it prints for -h.
func programFlags(ctx context.Context, bin string) (map[string]map[string]bool, error) {
	flags := map[string]map[string]bool{}
	for _, program := range []string{"gateway", "writer", "reader", "catalog"} {
		path, err := filepath.Abs(filepath.Join(bin, program))
		if err != nil {
			return nil, err
		}
		args := []string{"-h"}
		if program == "catalog" {
			args = []string{"migrate", "-h"}
		}
		var out bytes.Buffer
		c := exec.CommandContext(ctx, path, args...)
		c.Stdout, c.Stderr = &out, &out
		err = c.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return nil, fmt.Errorf("%w; run make build", err)
		}
		flags[program] = map[string]bool{}
		for _, m := range flagVariable.FindAllStringSubmatch(out.String(), -1) {
			flags[program][m[1]] = true
		}
		if len(flags[program]) == 0 {
			return nil, fmt.Errorf("%s %s names no variable; the form of -h has changed", program, strings.Join(args, " "))
		}
	}
	return flags, nil
}

var (
	composeVariable = regexp.MustCompile(`\$\{([A-Z_]+)`)
	dotenvVariable  = regexp.MustCompile(`(?m)^([A-Z_]+)=`)
)

// dotenvProblems compares the variables of the Compose files with those of deploy/.env.
func dotenvProblems(r repository) (problems []string, err error) {
	read := func(name string, pattern *regexp.Regexp, names map[string]bool) error {
		content, err := os.ReadFile(r.deploy(name))
		for _, m := range pattern.FindAllStringSubmatch(string(content), -1) {
			names[m[1]] = true
		}
		return err
	}
	used, set := map[string]bool{}, map[string]bool{}
	for _, name := range []string{"compose.yaml", "compose.dev.yaml"} {
		if err := read(name, composeVariable, used); err != nil {
			return nil, err
		}
	}
	if err := read(".env", dotenvVariable, set); err != nil {
		return nil, err
	}
	for name := range used {
		if !set[name] {
			problems = append(problems, ".env: lacks "+name+", which a Compose file uses")
		}
	}
	for name := range set {
		if !used[name] && name != "COMPOSE_PROFILES" {
			problems = append(problems, ".env: no Compose file uses "+name)
		}
	}
	return problems, nil
}
