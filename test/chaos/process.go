package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"catalog/engine/enginetest/freeport"
)

// Process is one of the programs, which is killed and started again.
type Process struct {
	Name string // of its log, and for people
	Path string // of the program
	Args []string
	Env  []string
	Dir  string // where its log goes

	admin string
	cmd   *exec.Cmd
	ended chan struct{}
}

// Start starts the process; failpoint is "", or what CATALOG_FAILPOINT says.
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

// Ready waits until the process says that it is.
func (p *Process) Ready(ctx context.Context) error {
	return until(ctx, p.Name+" is ready", func() bool {
		r, err := http.Get("http://" + p.admin + "/readyz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// Kill sends the signal and waits for the end. It is an error when the process
// has not ended by that signal: then it was not what killed it.
func (p *Process) Kill(signal syscall.Signal) error {
	_ = p.cmd.Process.Signal(signal)
	<-p.ended
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); signal == syscall.SIGKILL && status.Signal() != syscall.SIGKILL {
		return fmt.Errorf("%s was not killed: %v", p.Name, p.cmd.ProcessState)
	}
	return nil
}

// Died waits until the process has killed itself.
func (p *Process) Died(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	select {
	case <-p.ended:
	case <-ctx.Done():
		return fmt.Errorf("%s still lives: %w", p.Name, ctx.Err())
	}
	return p.Kill(syscall.SIGKILL)
}

// until waits until the condition holds, for a minute.
func until(ctx context.Context, what string, condition func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !condition() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.New("still not: " + what)
		}
	}
	return nil
}
