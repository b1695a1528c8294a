package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"catalog/engine/enginetest/freeport"
)

// Process is a service that the test kills and restarts.
type Process struct {
	Name string // for its log file and messages
	Path string // path of the program
	Args []string
	Env  []string
	Dir  string // folder of its log file

	admin string
	cmd   *exec.Cmd
	ended chan struct{}
	peak  atomic.Int64 // largest resident memory seen by measure, in bytes
}

// Start starts the process with CATALOG_FAILPOINT set to failpoint.
func (p *Process) Start(failpoint string) error {
	logs, err := os.OpenFile(filepath.Join(p.Dir, p.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logs.Close()
	if p.admin == "" {
		p.admin = freeport.Address()
	}
	p.cmd = exec.Command(p.Path, append(p.Args, "-admin", p.admin)...)
	p.cmd.Env = append(p.Env, "CATALOG_FAILPOINT="+failpoint)
	p.cmd.Stderr = logs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(p.cmd, p.ended)
	return nil
}

// Ready waits until the process is ready.
func (p *Process) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for why := p.notReady(); why != ""; why = p.notReady() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("after %v %s is not ready: %s", patience, p.Name, why)
		}
	}
	return nil
}

// patience is the longest wait for a process to be ready, to die at its failpoint, or to notice a
// fault. A reader that is killed several times has to catch up with all events since, on a machine
// that is busy.
const patience = 3 * time.Minute

// Kill sends the signal and waits until the process has ended. After SIGKILL it
// returns an error when the process ended for another reason.
func (p *Process) Kill(signal syscall.Signal) error {
	p.measure()
	_ = p.cmd.Process.Signal(signal)
	<-p.ended
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); signal == syscall.SIGKILL && status.Signal() != syscall.SIGKILL {
		return fmt.Errorf("%s was not killed: %v", p.Name, p.cmd.ProcessState)
	}
	return nil
}

// Died waits until the process has died at its failpoint.
func (p *Process) Died(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-p.ended:
	case <-ctx.Done():
		return fmt.Errorf("%s did not die at its failpoint: %w", p.Name, ctx.Err())
	}
	return p.Kill(syscall.SIGKILL)
}

// measure updates the largest resident memory from the kernel's high-water mark of the present
// process.
func (p *Process) measure() {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			p.peak.Store(max(p.peak.Load(), kib<<10))
		}
	}
}

// notReady returns "" when the process is ready; otherwise the body of /readyz, or the error of
// a process that does not respond.
func (p *Process) notReady() string {
	r, err := http.Get("http://" + p.admin + "/readyz")
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusOK {
		return ""
	}
	body, _ := io.ReadAll(r.Body)
	return string(body)
}

// waitUntil waits until the condition holds, at most for patience.
func waitUntil(ctx context.Context, what string, condition func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !condition() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("after %v still not: %s", patience, what)
		}
	}
	return nil
}
