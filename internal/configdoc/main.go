// Command configdoc writes docs/configuration.md from the flags of the four programs, as
// their -h prints them. Run it with go generate.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// programs are the programs that the document describes, and how they print their flags.
var programs = []struct {
	name string
	args []string
}{
	{"gateway", []string{"-h"}},
	{"writer", []string{"-h"}},
	{"reader", []string{"-h"}},
	{"catalog up", []string{"up", "-h"}},
}

func main() {
	out := flag.String("o", "docs/configuration.md", "`file` to write")
	flag.Parse()
	text, err := document(".")
	if err == nil {
		err = os.WriteFile(*out, []byte(text), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// setting is a flag of one or more programs.
type setting struct {
	name, value, meaning, variable string
	defaults                       map[string]string // defaults by program
}

// document returns the flags of the programs of the module in dir as Markdown.
func document(dir string) (string, error) {
	settings := map[string]*setting{}
	for _, p := range programs {
		printed, err := help(dir, p.name, p.args)
		if err != nil {
			return "", err
		}
		if err := parse(settings, p.name, printed); err != nil {
			return "", err
		}
	}
	return render(settings), nil
}

// help builds and runs a program. The go command caches the build.
func help(dir, program string, args []string) (string, error) {
	command, _, _ := strings.Cut(program, " ")
	c := exec.Command("go", append([]string{"run", "./" + filepath.Join("cmd", command)}, args...)...)
	c.Dir = dir
	c.Stderr = os.Stderr
	printed, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %v: %w", program, args, err)
	}
	return string(printed), nil
}

// printedFlag matches a flag as daemon.PrintFlags writes it: name and value on one line, then
// meaning, default and variable.
var printedFlag = regexp.MustCompile(`(?m)^  -(\S+)(?: (.+))?\n    \t(.+?)(?: \(default (.*)\))?(?: \[\$(\w+)\])?$`)

// parse adds the flags in what a program printed to settings.
func parse(settings map[string]*setting, program, printed string) error {
	flags := printedFlag.FindAllStringSubmatch(printed, -1)
	if len(flags) != strings.Count(printed, "\n  -") {
		return fmt.Errorf("%s -h has %d flags, of which %d have the usual form", program, strings.Count(printed, "\n  -"), len(flags))
	}
	for _, f := range flags {
		s := settings[f[1]]
		if s == nil {
			s = &setting{name: f[1], value: f[2], meaning: f[3], variable: f[5], defaults: map[string]string{}}
			settings[s.name] = s
		}
		s.defaults[program] = f[4]
	}
	return nil
}
