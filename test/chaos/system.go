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
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"catalog/engine/enginetest/freeport"
)

// System runs two of each service on its own engines. Each service reaches the engines and the
// services that it calls through links of its own.
type System struct {
	APIs      []string
	Writers   string   // addresses of gRPC
	Readers   []string // addresses of gRPC
	Brokers   string
	Links     []*Link
	dir       string
	up        []string // environment of deploy/engines/up
	env       []string // environment of catalog migrate and catalog repair
	processes map[string][]*Process
	starting  sync.Mutex // held while deploy/engines/up runs, because two of them would start an engine twice
	notes     *os.File   // times of all faults and restarts, in the folder of the logs
	truncated []Truncation
}

// engines lists the engines that are killed, Kafka first. portVariables has the names of the
// variables by which deploy/engines/up gets their ports.
var (
	engines       = []string{"kafka", "postgres", "ferretdb", "redis"}
	portVariables = []string{"ENGINES_KAFKA_PORT", "ENGINES_POSTGRES_PORT", "ENGINES_MONGO_PORT", "ENGINES_REDIS_PORT"}
)

// services lists the services, with the engines that each uses.
var services = []struct {
	name    string
	engines []string
}{
	{"writer", []string{"kafka", "postgres"}},
	{"reader", []string{"kafka", "ferretdb", "redis"}},
	{"gateway", []string{"kafka"}},
}

// replicas is the number of processes of each service.
const replicas = 2

// newSystem starts engines and services with their data in dir, from the
// executables in programs. With ownDisks, the disks of Kafka and PostgreSQL can be filled. session
// is the time after which a process or a broker that does not respond counts as dead.
func newSystem(ctx context.Context, dir, programs string, ownDisks bool, session time.Duration) (s *System, err error) {
	s = &System{dir: dir, processes: map[string][]*Process{}}
	if s.notes, err = os.Create(filepath.Join(dir, "faults.log")); err != nil {
		return s, err
	}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CATALOG_") && !strings.HasPrefix(v, "ENGINES_") {
			s.up = append(s.up, v)
		}
	}
	plain := slices.Clone(s.up)
	// The engines become children of this process when the script that starts them
	// ends. So Wait4 shows when a killed engine has ended.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return s, err
	}
	addresses := map[string]string{}
	plain = append(plain, "CATALOG_KAFKA_SESSION_TIMEOUT="+session.String())
	s.up = append(s.up, "ENGINES_DIR="+dir, fmt.Sprintf("ENGINES_KAFKA_SESSION_MS=%d", session.Milliseconds()))
	for i, port := range enginePorts(len(engines)) {
		addresses[engines[i]] = fmt.Sprintf("127.0.0.1:%d", port)
		s.up = append(s.up, fmt.Sprintf("%s=%d", portVariables[i], port))
	}
	s.Brokers = addresses["kafka"]
	if ownDisks {
		if err := errors.Join(s.mountDisk("kafka"), s.mountDisk("postgres")); err != nil {
			return s, err
		}
	}
	environments, err := s.connect(plain, addresses)
	if err != nil {
		return s, err
	}
	if err := s.startEngines(ctx); err != nil {
		return s, err
	}
	s.env = engineEnv(plain, addresses)
	if err := s.migrate(ctx, programs); err != nil {
		return s, err
	}
	if err := s.startServices(environments, programs); err != nil {
		return s, err
	}
	return s, s.ready(ctx)
}

// engineEnv returns the environment of a program that reaches the engines at the addresses.
func engineEnv(env []string, addresses map[string]string) []string {
	return append(slices.Clone(env),
		"CATALOG_SHUTDOWN_TIMEOUT=30s", // for a machine that is busy with the load
		"CATALOG_KAFKA_BROKERS="+addresses["kafka"], "CATALOG_KAFKA_PARTITIONS="+strconv.Itoa(shards), "CATALOG_KAFKA_REPLICAS=1",
		fmt.Sprintf("CATALOG_POSTGRES_URL=postgres://catalog@%s/catalog?sslmode=disable", addresses["postgres"]),
		fmt.Sprintf("CATALOG_REDIS_URL=redis://%s/0", addresses["redis"]),
		fmt.Sprintf("CATALOG_MONGO_URL=mongodb://%s/", addresses["ferretdb"]))
}

// connect creates the links from each process to its engines and returns the environment of
// each process, by name. A client of Kafka connects to the address that the broker advertises,
// so the broker gets a listener for each process, which advertises the link.
func (s *System) connect(env []string, addresses map[string]string) (map[string][]string, error) {
	environments := map[string][]string{}
	listeners := []string{"PLAINTEXT://" + s.Brokers, "CONTROLLER://" + nextPort(s.Brokers)}
	advertised, protocols := listeners[:1:1], []string{"PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT"}
	for _, service := range services {
		for i := range replicas {
			process := fmt.Sprintf("%s%d", service.name, i+1)
			own := map[string]string{}
			for _, engine := range service.engines {
				target := addresses[engine]
				if engine == "kafka" {
					target = freeport.Address()
				}
				k, err := s.link(process+" "+engine, target)
				if err != nil {
					return nil, err
				}
				own[engine] = k.Address()
				if engine == "kafka" {
					listener := strings.ToUpper(process)
					listeners = append(listeners, listener+"://"+target)
					advertised = append(advertised, listener+"://"+k.Address())
					protocols = append(protocols, listener+":PLAINTEXT")
				}
			}
			environments[process] = engineEnv(env, own)
		}
	}
	s.up = append(s.up, "ENGINES_KAFKA_SETTINGS="+strings.Join([]string{
		"listeners=" + strings.Join(listeners, ","),
		"advertised.listeners=" + strings.Join(advertised, ","),
		"listener.security.protocol.map=" + strings.Join(protocols, ","),
	}, "\n"))
	return environments, nil
}

func (s *System) link(name, target string) (*Link, error) {
	k, err := newLink(name, target)
	if err == nil {
		s.Links = append(s.Links, k)
	}
	return k, err
}

// migrate creates or updates tables and topics with the programs of a version.
func (s *System) migrate(ctx context.Context, programs string) error {
	_, err := s.catalog(ctx, programs, "migrate")
	return err
}

// catalog runs the command line and returns its output.
func (s *System) catalog(ctx context.Context, programs string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, filepath.Join(programs, "catalog"), args...)
	c.Env = s.env
	out, err := c.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("catalog %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// startServices starts two of each service, each with its environment.
func (s *System) startServices(environments map[string][]string, programs string) error {
	writers := []string{freeport.Address(), freeport.Address()}
	readers := []string{freeport.Address(), freeport.Address()}
	s.Writers, s.Readers = strings.Join(writers, ","), readers
	for i := range replicas {
		api := freeport.Address()
		s.APIs = append(s.APIs, "http://"+api)
		var linked [2][]string // addresses of writers and readers, as the gateway sees them
		for n, targets := range [][]string{writers, readers} {
			for j, target := range targets {
				k, err := s.link(fmt.Sprintf("gateway%d %s%d", i+1, []string{"writer", "reader"}[n], j+1), target)
				if err != nil {
					return err
				}
				linked[n] = append(linked[n], k.Address())
			}
		}
		for name, args := range map[string][]string{
			"writer":  {"-grpc", writers[i]},
			"reader":  {"-grpc", readers[i], "-writer", s.Writers, "-index", filepath.Join(s.dir, fmt.Sprintf("index%d", i+1))},
			"gateway": {"-http", api, "-writer", strings.Join(linked[0], ","), "-reader", strings.Join(linked[1], ",")},
		} {
			p := &Process{Name: fmt.Sprintf("%s%d", name, i+1), Path: filepath.Join(programs, name), Args: args, Dir: s.dir}
			p.Env = environments[p.Name]
			s.processes[name] = append(s.processes[name], p)
			if err := p.Start(""); err != nil {
				return err
			}
		}
	}
	return nil
}

// all returns all processes.
func (s *System) all() (all []*Process) {
	for _, service := range services {
		all = append(all, s.processes[service.name]...)
	}
	return all
}

// note writes an entry to the log of faults.
func (s *System) note(format string, args ...any) {
	fmt.Fprintf(s.notes, "%s %s\n", time.Now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

// ready waits until all services are ready.
func (s *System) ready(ctx context.Context) error {
	var errs []error
	for _, p := range s.all() {
		errs = append(errs, p.Ready(ctx))
	}
	return errors.Join(errs...)
}

// startEngines starts the engines that do not run.
func (s *System) startEngines(ctx context.Context) (err error) {
	s.starting.Lock()
	defer s.starting.Unlock()
	for range 5 { // a killed engine may block its successor for a moment, by a lock or port
		for _, name := range engines {
			if err := s.reap(name); err != nil {
				return err
			}
		}
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

func (s *System) pidFile(engine string) string { return filepath.Join(s.dir, engine+".pid") }

// enginePID returns the process id of an engine.
func (s *System) enginePID(engine string) (int, error) {
	b, err := os.ReadFile(s.pidFile(engine))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// reap removes the pid file of an engine that has ended by itself.
func (s *System) reap(engine string) error {
	pid, err := s.enginePID(engine)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if ended, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err != nil || ended == 0 {
		return err
	}
	s.note("%s had ended", engine)
	return os.Remove(s.pidFile(engine))
}

// killEngine sends SIGKILL to an engine and waits until it has ended.
func (s *System) killEngine(name string) error {
	pid, err := s.enginePID(name)
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
	return os.Remove(s.pidFile(name))
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

// restart kills and restarts the process.
func (p *Process) restart(ctx context.Context) error {
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
	for _, p := range s.all() {
		if p.cmd != nil {
			_ = p.Kill(syscall.SIGKILL)
		}
	}
	for _, name := range engines {
		_ = s.killEngine(name)
	}
	for _, k := range s.Links {
		k.Close()
	}
	s.notes.Close()
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

// nextPort returns the address with the next port.
func nextPort(address string) string {
	a := netip.MustParseAddrPort(address)
	return netip.AddrPortFrom(a.Addr(), a.Port()+1).String()
}
