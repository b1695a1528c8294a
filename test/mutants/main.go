// Command mutants plants bugs, one at a time, and runs the test that has to catch
// each: a test that still passes proves nothing. It does not change the source
// tree; the compiler gets the changed files by -overlay.
//
//	go run ./test/mutants [-run REGEXP]
//
// It prints a table and exits with 1 when a bug was not caught.
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

// mutant is a bug and the test that catches it.
type mutant struct {
	bug      string // description
	file     string
	old, new string // old occurs exactly once in the file and is replaced by new
	pkg      string // package of the test
	test     string // name, or a regular expression
}

func main() {
	only := flag.String("run", "", "plant only bugs whose description matches the `regexp`")
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
		by, err := m.run()
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

// apply returns the file with the bug.
func (m mutant) apply() ([]byte, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return nil, fmt.Errorf("%s has %q %d times; want once", m.file, m.old, n)
	}
	return []byte(strings.Replace(string(source), m.old, m.new, 1)), nil
}

// run runs the test, which has to fail, and returns its name with that of the
// subtest that fails first.
func (m mutant) run() (test string, err error) {
	mutated, err := m.apply()
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
	// The flag applies to programs that the tests build, too.
	c.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+list)
	out, err := c.CombinedOutput()
	switch {
	case err == nil && strings.Contains(string(out), "no tests to run"):
		return "", errors.New("the test does not exist")
	case err == nil:
		return "", errors.New("the test passes")
	case strings.Contains(string(out), "[build failed]"), !strings.Contains(string(out), "FAIL"):
		return "", fmt.Errorf("the mutant does not compile:\n%s", out)
	}
	for _, f := range failed.FindAllStringSubmatch(string(out), -1) {
		if strings.HasPrefix(f[1], test) {
			test = f[1]
		}
	}
	return strings.TrimPrefix(m.pkg, "./") + " " + strings.ReplaceAll(test, "_", " "), nil
}

// failed matches the names of failed tests. The output may list a subtest before
// or after its test.
var failed = regexp.MustCompile(`--- FAIL: (\S+)`)
