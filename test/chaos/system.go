package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"catalog/engine/enginetest/freeport"
)

// System runs two of each service on its own engines.
type System struct {
	APIs      []string
	Writers   string // gRPC
	Brokers   string
	dir       string
	up        []string // environment of deploy/engines/up
	env       []string // environment of the services
	processes map[string][]*Process
}

// engines lists the engines that are killed.
var engines = []string{"kafka", "postgres", "ferretdb", "redis"}

// newSystem starts engines and services with their data in dir, from the
// executables in programs.
func newSystem(ctx context.Context, dir, programs string) (*System, error) {
	s := &System{dir: dir, processes: map[string][]*Process{}}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CATALOG_") && !strings.HasPrefix(v, "ENGINES_") {
			s.up = append(s.up, v)
		}
	}
	env := slices.Clone(s.up)
	s.up = append(s.up, "ENGINES_DIR="+dir)
	// The engines become children of this process when the script that starts them
	// ends. So Wait4 shows when a killed engine has ended.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return s, err
	}
	ports := enginePorts(4)
	for i, engine := range []string{"KAFKA", "POSTGRES", "REDIS", "MONGO"} {
		s.up = append(s.up, fmt.Sprintf("ENGINES_%s_PORT=%d", engine, ports[i]))
	}
	if err := s.startEngines(ctx); err != nil {
		return s, err
	}
	s.Brokers = fmt.Sprintf("127.0.0.1:%d", ports[0])
	env = append(env,
		"CATALOG_SHUTDOWN_TIMEOUT=30s", // for a machine that is busy with the load
		"CATALOG_KAFKA_BROKERS="+s.Brokers, "CATALOG_KAFKA_PARTITIONS="+strconv.Itoa(shards), "CATALOG_KAFKA_REPLICAS=1", "CATALOG_KAFKA_SESSION_TIMEOUT=2s",
		fmt.Sprintf("CATALOG_POSTGRES_URL=postgres://catalog@127.0.0.1:%d/catalog?sslmode=disable", ports[1]),
		fmt.Sprintf("CATALOG_REDIS_URL=redis://127.0.0.1:%d/0", ports[2]),
		fmt.Sprintf("CATALOG_MONGO_URL=mongodb://127.0.0.1:%d/", ports[3]))
	if err := s.startServices(ctx, env, programs); err != nil {
		return s, err
	}
	return s, s.ready(ctx)
}

// migrate creates or updates tables and topics with the programs of a version.
func (s *System) migrate(ctx context.Context, programs string) error {
	migrate := exec.CommandContext(ctx, filepath.Join(programs, "catalog"), "migrate")
	migrate.Env = s.env
	if out, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate: %w\n%s", err, out)
	}
	return nil
}

// startServices creates schema and topics and starts two of each service.
func (s *System) startServices(ctx context.Context, env []string, programs string) error {
	s.env = env
	if err := s.migrate(ctx, programs); err != nil {
		return err
	}
	writers := []string{freeport.Address(), freeport.Address()}
	readers := []string{freeport.Address(), freeport.Address()}
	s.Writers = strings.Join(writers, ",")
	for i := range 2 {
		api := freeport.Address()
		s.APIs = append(s.APIs, "http://"+api)
		for name, args := range map[string][]string{
			"writer":  {"-grpc", writers[i]},
			"reader":  {"-grpc", readers[i], "-writer", s.Writers, "-index", filepath.Join(s.dir, fmt.Sprintf("index%d", i+1))},
			"gateway": {"-http", api, "-writer", s.Writers, "-reader", strings.Join(readers, ",")},
		} {
			p := &Process{Name: fmt.Sprintf("%s%d", name, i+1), Path: filepath.Join(programs, name), Args: args, Env: env, Dir: s.dir}
			s.processes[name] = append(s.processes[name], p)
			if err := p.Start(""); err != nil {
				return err
			}
		}
	}
	return nil
}

// ready waits until all services are ready.
func (s *System) ready(ctx context.Context) error {
	var errs []error
	for _, name := range []string{"writer", "reader", "gateway"} {
		for _, p := range s.processes[name] {
			errs = append(errs, p.Ready(ctx))
		}
	}
	return errors.Join(errs...)
}

// startEngines starts the engines that do not run.
func (s *System) startEngines(ctx context.Context) (err error) {
	for range 5 { // a killed engine may block its successor for a moment, by a lock or port
		up := exec.CommandContext(ctx, "deploy/engines/up", engines...)
		up.Env = s.up
		var out []byte
		if out, err = up.CombinedOutput(); err == nil {
			return nil
		}
		err = fmt.Errorf("deploy/engines/up: %w\n%s", err, out)
	}
	return err
}

// killEngine sends SIGKILL to an engine and waits until it has ended.
func (s *System) killEngine(name string) error {
	file := filepath.Join(s.dir, name+".pid")
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return err
	}
	var end syscall.WaitStatus
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	if _, err := syscall.Wait4(pid, &end, 0, nil); err != nil {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	if end.Signal() != syscall.SIGKILL {
		return fmt.Errorf("%s was not killed: it had ended before", name)
	}
	return os.Remove(file)
}

// restartEngine kills and restarts an engine.
func (s *System) restartEngine(ctx context.Context, name string) error {
	if err := s.killEngine(name); err != nil {
		return err
	}
	if err := s.startEngines(ctx); err != nil {
		return err
	}
	return s.ready(ctx)
}

// restartService kills and restarts one of the two processes of a service.
func (s *System) restartService(ctx context.Context, name string, n int) error {
	p := s.processes[name][n%2]
	if err := p.Kill(syscall.SIGKILL); err != nil {
		return err
	}
	if err := p.Start(""); err != nil {
		return err
	}
	return p.Ready(ctx)
}

// Stop kills all services and engines.
func (s *System) Stop() {
	for _, processes := range s.processes {
		for _, p := range processes {
			if p.cmd != nil {
				_ = p.Kill(syscall.SIGKILL)
			}
		}
	}
	for _, name := range engines {
		_ = s.killEngine(name)
	}
}

// enginePorts returns n free ports. The port after the first one is free, too:
// Kafka's controller uses it.
func enginePorts(n int) []int {
	ports := []int{freePort(), freePort()}
	for ports[1] != ports[0]+1 {
		ports = []int{ports[1], freePort()}
	}
	for len(ports) <= n {
		ports = append(ports, freePort())
	}
	return append(ports[:1], ports[2:]...)
}

func freePort() int {
	return int(netip.MustParseAddrPort(freeport.Address()).Port())
}
