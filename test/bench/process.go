package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// process is a running program of this module.
type process struct {
	name string
	cmd  *exec.Cmd
}

func (p process) kill() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() }

// memory returns a line of /proc/PID/status in MiB: VmRSS is the resident memory at
// present, VmHWM its peak.
func (p process) memory(line string) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(b)) {
		if kib, ok := strings.CutPrefix(l, line+":"); ok {
			n, err := strconv.ParseFloat(strings.Fields(kib)[0], 64)
			return n / 1024, err
		}
	}
	return 0, errors.New("no " + line)
}

// processStat is the part of /proc/PID/stat that is measured.
type processStat struct {
	pid, parent int
	cpu         time.Duration // CPU time of the process
	reaped      time.Duration // CPU time of its children that have ended
}

func readStat(pid int) (processStat, error) {
	const tick = time.Second / 100 // USER_HZ of Linux
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processStat{}, err
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name of the program may have spaces
	fields := strings.Fields(rest)
	var n [5]int
	var errs []error
	for i, at := range []int{1, 11, 12, 13, 14} {
		var err error
		n[i], err = strconv.Atoi(fields[at])
		errs = append(errs, err)
	}
	return processStat{pid, n[0], time.Duration(n[1]+n[2]) * tick, time.Duration(n[3]+n[4]) * tick}, errors.Join(errs...)
}

// treeCPU returns the CPU time of a process and all its descendants, those that have
// ended included: PostgreSQL has a process for each connection.
func treeCPU(root int) (time.Duration, error) {
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	children := map[int][]processStat{}
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil { // the process may have ended
			children[s.parent] = append(children[s.parent], s)
		}
	}
	s, err := readStat(root)
	if err != nil {
		return 0, err
	}
	total, stack := time.Duration(0), []processStat{s}
	for len(stack) > 0 {
		s, stack = stack[len(stack)-1], stack[:len(stack)-1]
		total += s.cpu + s.reaped
		stack = append(stack, children[s.pid]...)
	}
	return total, nil
}

// listener returns the process on this machine that listens at the address, or 0 if
// there is none.
func listener(address string) int {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	const listening = "0A"
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, _ := os.ReadFile(table)
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == listening && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	lowest := 0 // a server with a process for each connection: the lowest pid is the parent
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && sockets[target] {
			if pid, _ := strconv.Atoi(strings.Split(file, "/")[2]); lowest == 0 || pid < lowest {
				lowest = pid
			}
		}
	}
	return lowest
}

// lines sends the lines of r to the channel and closes it at the end.
func lines(r io.Reader, to chan<- string) {
	defer close(to)
	for s := bufio.NewScanner(r); s.Scan(); {
		to <- s.Text()
	}
}
