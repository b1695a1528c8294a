package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// programs holds what the programs accept.
type programs struct {
	variables map[string]map[string]bool // by container: variables of the environment
	checks    map[string]bool            // names of readiness checks
}

var (
	variable = regexp.MustCompile(`\[\$(CATALOG_\w+)\]`)
	addCheck = regexp.MustCompile(`AddCheck\("(\w+)"`)
)

// programFlags builds the programs and reads their variables from -h, and the names of their
// readiness checks from the source.
func programFlags(repository string) (programs, error) {
	p := programs{variables: map[string]map[string]bool{}, checks: map[string]bool{}}
	bin, err := os.MkdirTemp("", "chartcheck-")
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(bin)
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/...")
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		return p, fmt.Errorf("%w\n%s", err, out)
	}
	for container, command := range map[string][]string{
		"gateway": {"gateway", "-h"}, "writer": {"writer", "-h"}, "reader": {"reader", "-h"},
		"migration": {"catalog", "migrate", "-h"},
	} {
		out, err := exec.Command(filepath.Join(bin, command[0]), command[1:]...).CombinedOutput()
		if err != nil {
			return p, fmt.Errorf("%v: %w\n%s", command, err, out)
		}
		p.variables[container] = map[string]bool{}
		for _, m := range variable.FindAllStringSubmatch(string(out), -1) {
			p.variables[container][m[1]] = true
		}
		if len(p.variables[container]) == 0 {
			return p, fmt.Errorf("%v names no variables", command)
		}
	}
	for _, pattern := range []string{"cmd/*/*.go", "cmd/internal/program/*.go", "internal/engines/*.go", "internal/engines/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			return p, err
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				return p, err
			}
			for _, m := range addCheck.FindAllStringSubmatch(string(source), -1) {
				p.checks[m[1]] = true
			}
		}
	}
	if len(p.checks) == 0 {
		return p, fmt.Errorf("no readiness checks were found in the source")
	}
	return p, nil
}
