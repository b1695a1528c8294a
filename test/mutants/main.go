// Command mutants plants bugs, one at a time, and runs the test that has to
// catch each: a test that passes all the same proves nothing. Nothing is
// changed in the tree; the compiler is given other files in place of some.
//
//	go run ./mutants [-run REGEXP]
//
// It prints a table and ends with 1 when a bug was not caught.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// mutant is a bug, and the test that catches it.
type mutant struct {
	bug      string
	file     string
	old, new string // old stands in the file exactly once
	pkg      string // of the test
	test     string
}

func main() {
	only := flag.String("run", "", "only bugs whose description matches the `regexp`")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	caught, all := 0, 0
	fmt.Println("| planted bug | caught by | seconds |\n|---|---|---|")
	for _, m := range mutants {
		if !match.MatchString(m.bug) {
			continue
		}
		all++
		since := time.Now()
		by, err := m.hunt()
		if err != nil {
			by = "**nothing**: " + err.Error()
		} else {
			caught++
		}
		fmt.Printf("| %s | %s | %.0f |\n", m.bug, by, time.Since(since).Seconds())
	}
	fmt.Printf("\n%d of %d caught\n", caught, all)
	if caught < all {
		os.Exit(1)
	}
}

// plant is the file with the bug in it.
func (m mutant) plant() ([]byte, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return nil, fmt.Errorf("%s has %q %d times, and it must be there once", m.file, m.old, n)
	}
	return []byte(strings.Replace(string(source), m.old, m.new, 1)), nil
}

// hunt runs the test, which has to fail, and answers its name with that of the
// case that fails first.
func (m mutant) hunt() (test string, err error) {
	mutated, err := m.plant()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	replacement := filepath.Join(dir, filepath.Base(m.file))
	place, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {place: replacement}})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := errors.Join(os.WriteFile(replacement, mutated, 0o600), os.WriteFile(list, overlay, 0o600)); err != nil {
		return "", err
	}
	c := exec.Command("go", "test", "-count=1", "-timeout=3m", "-run", "^"+m.test+"$", m.pkg)
	c.Env = append(os.Environ(), "GOFLAGS=-overlay="+list) // for what tests build, too
	out, err := c.CombinedOutput()
	switch {
	case err == nil && strings.Contains(string(out), "no tests to run"):
		return "", errors.New("there is no such test")
	case err == nil:
		return "", errors.New("the test passes")
	case strings.Contains(string(out), "[build failed]"), !strings.Contains(string(out), "FAIL"):
		return "", fmt.Errorf("it does not compile:\n%s", out)
	}
	for _, f := range failed.FindAllStringSubmatch(string(out), -1) {
		if strings.HasPrefix(f[1], test) {
			test = f[1]
		}
	}
	return strings.TrimPrefix(m.pkg, "./") + " " + strings.ReplaceAll(test, "_", " "), nil
}

// failed finds the names of tests that have failed; those of cases come before
// or behind those of their tests.
var failed = regexp.MustCompile(`--- FAIL: (\S+)`)
