package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"catalog/client"
	"catalog/engine/enginetest/freeport"
)

// server is a process that runs `catalog up`.
type server struct {
	data, url, grpc string
	cmd             *exec.Cmd
	out             chan string
	ready           time.Duration
	client          *client.Client
}

func start(program, data string, flags ...string) (*server, error) {
	http := freeport.Address()
	admin := freeport.Address()
	grpc := freeport.Address()
	s := &server{data: data, grpc: grpc, url: "http://" + http, out: make(chan string, 100), client: client.New("http://" + http)}
	s.cmd = exec.Command(program, append([]string{"up", "-data", data, "-http", http, "-grpc", grpc, "-admin", admin, "-log.level", "error"}, flags...)...)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	since := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go lines(out, s.out)
	for line := range s.out {
		if strings.HasPrefix(line, "catalog is up") {
			s.ready = time.Since(since)
			return s, nil
		}
	}
	return nil, errors.New("catalog up exited before it was ready")
}

func (s *server) kill() { _ = s.cmd.Process.Kill(); _ = s.cmd.Wait() }

func (s *server) stop() error {
	defer func() { _ = s.cmd.Process.Kill() }()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// memory returns the resident memory of the process in MiB.
func (s *server) memory() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseFloat(strings.Fields(kib)[0], 64)
			return n / 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// waitIdle waits until the process is idle, so that the work after a load, such as
// merging the index, is done.
func (s *server) waitIdle() error {
	const (
		interval = 500 * time.Millisecond
		idle     = interval / 20 // 5 % of a core
		limit    = 2 * time.Minute
	)
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	before, err := s.cpuTime()
	for since := time.Now(); err == nil && time.Since(since) < limit; {
		<-ticks.C
		var now time.Duration
		if now, err = s.cpuTime(); now-before < idle {
			return err
		}
		before = now
	}
	return errors.Join(err, fmt.Errorf("catalog up is not idle after %v", limit))
}

// cpuTime returns the CPU time that the process has used.
func (s *server) cpuTime() (time.Duration, error) {
	const tick = time.Second / 100 // USER_HZ of Linux
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name of the program may have spaces
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick, errors.Join(err, err2)
}

// lines sends the lines of r to the channel and closes it at the end.
func lines(r io.Reader, to chan<- string) {
	defer close(to)
	for s := bufio.NewScanner(r); s.Scan(); {
		to <- s.Text()
	}
}
