// Command composecheck checks deploy/compose.yaml and deploy/compose.dev.yaml without Docker.
// It loads every combination of files and profiles with the loader of Docker Compose, checks the
// rules of rules.go, holds the CATALOG_ variables against the flags of the programs, and has the
// mounted settings of Prometheus and Alertmanager checked by promtool and amtool.
//
//	go run -C tools ./composecheck [-dir ..] [-bin ../bin]
//	go run -C tools ./composecheck -run
//
// With -run it instead starts Kafka, PostgreSQL, Redis, and the programs of this repository as
// processes, with the settings of the Compose file, and writes and reads a product.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "..", "`folder` of the repository")
	bin := flag.String("bin", "../bin", "`folder` of the programs of this repository, built by make build")
	run := flag.Bool("run", false, "start the programs with the settings of the Compose file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := repository{dir: *dir, bin: *bin}
	do := check
	if *run {
		do = runStack
	}
	if err := do(ctx, r); err != nil {
		log.Fatalf("composecheck: %v", err)
	}
}

// repository is where the files and programs to check are.
type repository struct{ dir, bin string }

func (r repository) deploy(name string) string { return filepath.Join(r.dir, "deploy", name) }

// combinations are the combinations of files and profiles that the documentation names, and the
// combination of all profiles.
var combinations = []struct {
	files    []string
	profiles []string
}{
	{[]string{"compose.yaml"}, nil}, // the profile in deploy/.env
	{[]string{"compose.yaml"}, []string{"minimal"}},
	{[]string{"compose.yaml"}, []string{"full"}},
	{[]string{"compose.yaml"}, []string{"opensearch"}},
	{[]string{"compose.yaml", "compose.dev.yaml"}, nil},
	{[]string{"compose.yaml", "compose.dev.yaml"}, []string{"minimal"}},
	{[]string{"compose.yaml", "compose.dev.yaml"}, []string{"opensearch"}},
}

// check checks all combinations and returns an error that lists what is wrong.
func check(ctx context.Context, r repository) error {
	flags, err := programFlags(ctx, r.bin)
	if err != nil {
		return err
	}
	problems := map[string]bool{} // most occur in several combinations
	for _, c := range combinations {
		name := strings.Join(c.files, " + ") + " with profile " + strings.Join(append(c.profiles, ".env")[:1], "")
		p, err := load(ctx, r, c.files, c.profiles)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		found := rules(p, flags, slices.Contains(c.files, "compose.dev.yaml"))
		for _, problem := range found {
			problems[problem] = true
		}
		fmt.Printf("%-55s %2d services, limits %.1f GiB\n", name, len(p.Services), float64(memoryLimits(p))/(1<<30))
	}
	dotenv, err := dotenvProblems(r)
	if err != nil {
		return err
	}
	for _, problem := range dotenv {
		problems[problem] = true
	}
	for _, problem := range mountedSettings(ctx, r) {
		problems[problem] = true
	}
	if len(problems) > 0 {
		return fmt.Errorf("%d problems:\n  %s", len(problems), strings.Join(slices.Sorted(maps.Keys(problems)), "\n  "))
	}
	return nil
}

// mountedSettings returns the problems that the programs report in their settings. A program that
// is not installed here is named on standard output, so that its absence shows.
func mountedSettings(ctx context.Context, r repository) (problems []string) {
	for _, c := range [][]string{
		{"promtool", "check", "config", r.deploy("prometheus/prometheus.yml")},
		{"amtool", "check-config", r.deploy("alertmanager/alertmanager.yml")},
	} {
		if _, err := exec.LookPath(c[0]); err != nil {
			fmt.Printf("%s is not installed: %s is not checked\n", c[0], c[len(c)-1])
			continue
		}
		if out, err := exec.CommandContext(ctx, c[0], c[1:]...).CombinedOutput(); err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v\n%s", strings.Join(c, " "), err, out))
		}
	}
	return problems
}
