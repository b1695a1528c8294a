// Command mutants plants bugs, one at a time, and runs the test that has to catch
// each: a test that still passes proves nothing. It does not change the source
// tree; the compiler gets the changed files by -overlay.
//
//	go run ./test/mutants [-quick] [-run REGEXP] [-parallel N] [-times N]
//
// It prints a table and exits with 1 when a bug was not caught. The CPU time is that of
// the compiler, the linker and the test. With -times, each run of the test has to catch
// the bug, which finds tests that catch it only sometimes.
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
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// mutant is a bug and the test that catches it.
type mutant struct {
	bug      string // description of the bug
	file     string
	old, new string // old occurs exactly once in the file and is replaced by new
	pkg      string // package of the test
	test     string // name, or a regular expression
}

// quickPackages are the packages whose tests build and fail within seconds. Their bugs are
// planted before every merge.
var quickPackages = map[string]bool{
	".": true, "./eventlog": true, "./gateway": true, "./writer": true,
	"./internal/wire": true, "./internal/productfile": true, "./internal/repair": true, "./internal/changefeed": true, "./internal/engines": true,
}

func main() {
	only := flag.String("run", "", "plant only bugs whose description matches the `regexp`")
	quick := flag.Bool("quick", false, "plant only bugs of packages whose tests build and fail within seconds")
	parallel := flag.Int("parallel", 1, "plant this `number` of bugs at once, each in a build of its own")
	times := flag.Int("times", 1, "run the test of each bug this `number` of times, and stop when it passes")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	planted := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool {
		return !match.MatchString(m.bug) || *quick && !quickPackages[m.pkg]
	})
	fmt.Println("| planted bug | caught by | seconds | CPU seconds |\n|---|---|---|---|")
	var (
		runs   errgroup.Group
		mu     sync.Mutex // guards caught and the output
		caught int
	)
	runs.SetLimit(max(1, *parallel))
	for _, m := range planted {
		runs.Go(func() error {
			since := time.Now()
			by, cpu, err := m.run(*times)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				by = "**nothing**: " + err.Error()
			} else {
				caught++
			}
			fmt.Printf("| %s | %s | %.1f | %.1f |\n", m.bug, by, time.Since(since).Seconds(), cpu.Seconds())
			return nil
		})
	}
	_ = runs.Wait() // a bug that is not caught does not end the others
	fmt.Printf("\n%d of %d caught\n", caught, len(planted))
	if caught < len(planted) {
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

// run builds the test and runs it the given number of times. It has to fail each time. run returns its
// name with that of the subtest that fails first, and the CPU time that it took.
func (m mutant) run(times int) (test string, cpu time.Duration, err error) {
	mutated, err := m.apply()
	if err != nil {
		return "", 0, err
	}
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", 0, err
	}
	defer os.RemoveAll(dir)
	replacement := filepath.Join(dir, filepath.Base(m.file))
	place, err := filepath.Abs(m.file)
	if err != nil {
		return "", 0, err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {place: replacement}})
	if err != nil {
		return "", 0, err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := errors.Join(os.WriteFile(replacement, mutated, 0o600), os.WriteFile(list, overlay, 0o600)); err != nil {
		return "", 0, err
	}
	execute := func(folder, name string, args ...string) (string, error) {
		c := exec.Command(name, args...)
		c.Dir = folder
		// The flag applies to programs that the tests build, too.
		c.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+list)
		out, err := c.CombinedOutput()
		if c.ProcessState != nil { // the process has started
			cpu += c.ProcessState.UserTime() + c.ProcessState.SystemTime()
		}
		return string(out), err
	}
	program := filepath.Join(dir, "tests")
	if out, err := execute("", "go", "test", "-c", "-vet=off", "-o", program, m.pkg); err != nil {
		return "", cpu, fmt.Errorf("the mutant does not compile:\n%s", out)
	}
	for n := range times {
		out, err := execute(m.pkg, program, "-test.failfast", "-test.timeout=3m", "-test.run=^"+m.test+"$")
		switch {
		case err == nil && strings.Contains(out, "no tests to run"):
			return "", cpu, errors.New("the test does not exist")
		case err == nil:
			return "", cpu, fmt.Errorf("the test passes at run %d", n+1)
		case !strings.Contains(out, "FAIL") && !strings.Contains(out, "panic"):
			return "", cpu, fmt.Errorf("the test does not run:\n%s", out)
		}
		test = ""
		for _, f := range failed.FindAllStringSubmatch(out, -1) {
			if strings.HasPrefix(f[1], test) {
				test = f[1]
			}
		}
	}
	return strings.TrimPrefix(m.pkg, "./") + " " + strings.ReplaceAll(test, "_", " "), cpu, nil
}

// failed matches the names of failed tests. The output may list a subtest before
// or after its test.
var failed = regexp.MustCompile(`--- FAIL: (\S+)`)
