package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"catalog/client"
	"catalog/engine/enginetest/freeport"
)

// server is a running catalogue: one process of catalog up, or one of each service.
type server struct {
	processes []process
	url       string
	grpc      string            // address of the reader
	admin     map[string]string // addresses, by name of the process
	client    *client.Client

	// The next two fields are for catalog up.
	data  string
	out   chan string // lines of its standard output
	ready time.Duration
}

// start starts catalog up on the folder.
func (b *bench) start(data string, flags ...string) (*server, error) {
	http, admin, grpc := freeport.Address(), freeport.Address(), freeport.Address()
	s := &server{
		data: data, grpc: grpc, url: "http://" + http, admin: map[string]string{"catalog": admin},
		out: make(chan string, 100), client: client.New("http://" + http),
	}
	cmd := exec.Command(b.program("catalog"), append([]string{"up", "-data", data, "-http", http, "-grpc", grpc, "-admin", admin, "-log.level", "error"}, flags...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	since := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.processes = []process{{"catalog", cmd}}
	go lines(out, s.out)
	for line := range s.out {
		if strings.HasPrefix(line, "catalog is up") {
			s.ready = time.Since(since)
			return s, nil
		}
	}
	s.kill()
	return nil, errors.New("catalog up exited before it was ready")
}

// startServices starts the three services on the engines, with their default settings
// and the number of partitions, or the default number for 0.
func (b *bench) startServices(e *engines, partitions int, flags ...string) (*server, error) {
	env := append(os.Environ(), e.env(partitions)...)
	migrate := exec.Command(b.program("catalog"), "migrate")
	migrate.Env = env
	if out, err := migrate.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("catalog migrate: %w\n%s", err, out)
	}
	http, reader, writer := freeport.Address(), freeport.Address(), freeport.Address()
	s := &server{url: "http://" + http, grpc: reader, admin: map[string]string{}, client: client.New("http://" + http)}
	for _, p := range []struct {
		name  string
		flags []string
	}{
		{"writer", []string{"-grpc", writer}},
		{"reader", []string{"-grpc", reader, "-writer", writer, "-index", filepath.Join(b.dir, e.own)}},
		{"gateway", []string{"-http", http, "-writer", writer, "-reader", reader}},
	} {
		s.admin[p.name] = freeport.Address()
		cmd := exec.Command(b.program(p.name), slices.Concat(p.flags, []string{"-admin", s.admin[p.name], "-log.level", "error"}, flags)...)
		cmd.Env, cmd.Stderr = env, os.Stderr
		if err := cmd.Start(); err != nil {
			s.kill()
			return nil, err
		}
		s.processes = append(s.processes, process{p.name, cmd})
	}
	for name, address := range s.admin {
		if err := waitFor("http://" + address + "/readyz"); err != nil {
			s.kill()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

func (s *server) address() string { return strings.TrimPrefix(s.url, "http://") }

func (s *server) kill() {
	for _, p := range s.processes {
		p.kill()
	}
}

func (s *server) stop() error {
	var errs []error
	for _, p := range s.processes {
		errs = append(errs, p.cmd.Process.Signal(syscall.SIGTERM))
	}
	for _, p := range s.processes {
		errs = append(errs, p.cmd.Wait())
	}
	return errors.Join(errs...)
}

// cpuTime returns the CPU time that the processes have used.
func (s *server) cpuTime() (sum time.Duration, err error) {
	for _, p := range s.processes {
		stat, err := readStat(p.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		sum += stat.cpu
	}
	return sum, nil
}

// waitIdle waits until the processes are idle, so that the work after a load, such as
// merging the index, is done.
func (s *server) waitIdle() error {
	const (
		interval = 500 * time.Millisecond
		idle     = interval / 20 // 5 % of a core for each process
		limit    = 2 * time.Minute
	)
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	before, err := s.cpuTime()
	for since := time.Now(); err == nil && time.Since(since) < limit; {
		<-ticks.C
		var now time.Duration
		if now, err = s.cpuTime(); now-before < idle*time.Duration(len(s.processes)) {
			return err
		}
		before = now
	}
	return errors.Join(err, fmt.Errorf("the catalogue is not idle after %v", limit))
}

// waitFor waits until a GET of the URL succeeds.
func waitFor(url string) (err error) {
	const limit = 30 * time.Second
	for since := time.Now(); time.Since(since) < limit; {
		if _, err = fetch(url); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// metric returns a metric of a process, summed over its labels.
func (s *server) metric(process, name string) (sum float64, err error) {
	text, err := fetch("http://" + s.admin[process] + "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &v); err != nil {
			return 0, fmt.Errorf("metric %s of the %s: %w", name, process, err)
		}
		sum += v
	}
	return sum, nil
}
