package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// stack is a run of the project's programs as processes.
type stack struct {
	repository
	project *types.Project
	folder  string            // folder of data and logs
	replace map[string]string // addresses in the Compose file → addresses here
	started []*process        // started processes, in the order of their start

	jaegerAPI string // URL
}

// process is a running program.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has exited
}

// runStack starts Kafka with the settings that the image of Kafka makes of the Compose file,
// PostgreSQL with its command line and init.sql, Redis with its script, FerretDB in place of
// MongoDB, Jaeger with its mounted file, and then the migrations and the three services with
// their variables, in which only addresses are replaced. It writes and reads a product, looks for
// the traces, and ends all processes.
func runStack(ctx context.Context, r repository) (err error) {
	p, err := load(ctx, r, []string{"compose.yaml"}, []string{"minimal"})
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "composecheck")
	if err != nil {
		return err
	}
	if err := os.Chmod(folder, 0o755); err != nil { // PostgreSQL runs as another user
		return err
	}
	s := &stack{repository: r, project: p, folder: folder, replace: map[string]string{}}
	defer func() {
		s.stop()
		if err != nil {
			fmt.Printf("the logs are in %s\n", folder)
			return
		}
		err = os.RemoveAll(folder)
	}()
	for _, start := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"PostgreSQL, init.sql", s.postgres},
		{"Kafka", s.kafka},
		{"Redis", s.redis},
		{"FerretDB in place of MongoDB", s.ferretDB},
		{"Jaeger", s.jaeger},
		{"the migrations", s.migrate},
		{"writer, reader, gateway", s.services},
		{"a write and a read", s.writeAndRead},
	} {
		since := time.Now()
		if err := start.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", start.what, err)
		}
		fmt.Printf("ok  %s (%.1f s)\n", start.what, time.Since(since).Seconds())
	}
	return nil
}

// environment returns the variables of a service with the addresses replaced.
func (s *stack) environment(service string) []string {
	env := []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range s.project.Services[service].Environment {
		env = append(env, name+"="+s.local(*value))
	}
	return env
}

func (s *stack) local(value string) string {
	for _, from := range slices.Backward(slices.Sorted(maps.Keys(s.replace))) { // longer addresses first
		value = strings.ReplaceAll(value, from, s.replace[from])
	}
	return value
}

// start starts a program with the variables env. It runs until stop.
func (s *stack) start(name string, as *syscall.Credential, env []string, command ...string) (*process, error) {
	log, err := os.Create(s.log(name))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c := exec.Command(command[0], command[1:]...)
	c.Env, c.Dir, c.Stdout, c.Stderr = env, s.folder, log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as}
	if err := c.Start(); err != nil {
		return nil, err
	}
	p := &process{name, c, make(chan struct{})}
	go func() { c.Wait(); close(p.done) }()
	s.started = append(s.started, p)
	return p, nil
}

func (s *stack) log(name string) string { return filepath.Join(s.folder, name+".log") }

// stop ends the processes, the last one first.
func (s *stack) stop() {
	for _, p := range slices.Backward(s.started) {
		p.cmd.Process.Signal(os.Interrupt)
		select {
		case <-p.done:
		case <-time.After(20 * time.Second):
			fmt.Printf("%s does not stop; killing it\n", p.name)
			p.cmd.Process.Kill()
			<-p.done
		}
	}
}

// await waits until ok returns nil. It fails when the process exits first, or after a minute.
func (s *stack) await(ctx context.Context, p *process, ok func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s exited: %s", p.name, s.lastLines(p.name))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %s", p.name, err, s.lastLines(p.name))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *stack) lastLines(name string) string {
	content, _ := os.ReadFile(s.log(name))
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return "\n" + strings.Join(lines[max(0, len(lines)-15):], "\n")
}

func listens(address string) func() error {
	return func() error {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			c.Close()
		}
		return err
	}
}

// output runs a program to its end and returns what it prints.
func output(ctx context.Context, as *syscall.Credential, env []string, command ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Env, c.SysProcAttr = env, &syscall.SysProcAttr{Credential: as}
	out, err := c.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(command[0]), err, out)
	}
	return out, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// provide chooses a free address and uses it in place of address.
func (s *stack) provide(address string) (string, error) {
	free, err := freeAddress()
	s.replace[address] = free
	return free, err
}

func (s *stack) postgres(ctx context.Context) error {
	programs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(programs) == 0 {
		return errors.New("PostgreSQL is not installed; run make engines-up once")
	}
	bin := programs[len(programs)-1]
	data := filepath.Join(s.folder, "postgres")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	var as *syscall.Credential
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		as = &syscall.Credential{Uid: 65534, Gid: 65534}
		if err := os.Chown(data, 65534, 65534); err != nil {
			return err
		}
	}
	service := s.project.Services["postgres"]
	env := append(s.environment("postgres"), "HOME=/tmp", "PGPASSWORD="+*service.Environment["POSTGRES_PASSWORD"])
	password := filepath.Join(data, "..", "password")
	if err := os.WriteFile(password, []byte(*service.Environment["POSTGRES_PASSWORD"]), 0o644); err != nil {
		return err
	}
	if _, err := output(ctx, as, env, bin+"/initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--locale=C.UTF-8"); err != nil {
		return err
	}
	address, err := s.provide("postgres:5432")
	if err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(address)
	command := append([]string{bin + "/postgres"}, service.Command[1:]...)
	p, err := s.start("postgres", as, env, append(command, "-D", data, "-p", port, "-c", "listen_addresses="+host, "-c", "unix_socket_directories=")...)
	if err != nil {
		return err
	}
	psql := func(args ...string) error {
		_, err := output(ctx, nil, env, append([]string{bin + "/psql", "-h", host, "-p", port, "-U", "postgres", "-q"}, args...)...)
		return err
	}
	if err := s.await(ctx, p, func() error { return psql("-c", "select 1") }); err != nil {
		return err
	}
	if err := psql("-f", s.deploy("postgres/init.sql")); err != nil {
		return err
	}
	return psql("-c", "create database ferretdb")
}

// kafka writes server.properties with the class that the image of Kafka uses for that, and
// replaces only the ports and the folder in it.
func (s *stack) kafka(ctx context.Context) error {
	jars, _ := filepath.Glob(filepath.Join(s.dir, ".engines/kafka-jars/*.jar"))
	if len(jars) == 0 {
		return errors.New("Kafka is not installed; run make engines-up once")
	}
	classes := make([]string, len(jars))
	for i, jar := range jars {
		classes[i], _ = filepath.Abs(jar)
	}
	java := []string{"java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", strings.Join(classes, ":")}
	settings := filepath.Join(s.folder, "kafka-settings")
	for _, folder := range []string{"default", "mounted", "final"} {
		if err := os.MkdirAll(filepath.Join(settings, folder), 0o755); err != nil {
			return err
		}
	}
	for _, file := range []string{"server.properties", "log4j2.yaml", "tools-log4j2.yaml"} {
		if err := os.WriteFile(filepath.Join(settings, "default", file), []byte("{}\n"), 0o644); err != nil {
			return err
		}
	}
	env := s.environment("kafka")
	final := filepath.Join(settings, "final", "server.properties")
	command := slices.Concat(java, []string{"kafka.docker.KafkaDockerWrapper", "setup",
		"--default-configs-dir", filepath.Join(settings, "default"), "--mounted-configs-dir", filepath.Join(settings, "mounted"), "--final-configs-dir", filepath.Join(settings, "final")})
	if _, err := output(ctx, nil, env, command...); err != nil {
		return err
	}
	content, err := os.ReadFile(final)
	if err != nil {
		return err
	}
	address, err := s.provide("kafka:9092")
	if err != nil {
		return err
	}
	controller, err := freeAddress()
	if err != nil {
		return err
	}
	host, err := freeAddress()
	if err != nil {
		return err
	}
	properties := strings.NewReplacer(
		"PLAINTEXT://:9092", "PLAINTEXT://"+address, "CONTROLLER://:9093", "CONTROLLER://"+controller, "HOST://:9094", "HOST://"+host,
		"1@localhost:9093", "1@"+controller, "kafka:9092", address,
		"/var/lib/kafka/data", filepath.Join(s.folder, "kafka"),
	).Replace(string(content))
	if err := os.WriteFile(final, []byte(properties), 0o644); err != nil {
		return err
	}
	// The wrapper's setup formats the folder of the original file only when it can write there.
	if _, err := os.Stat(filepath.Join(s.folder, "kafka", "meta.properties")); err != nil {
		format := slices.Concat(java, []string{"kafka.tools.StorageTool", "format", "-t", *s.project.Services["kafka"].Environment["CLUSTER_ID"], "-c", final})
		if _, err := output(ctx, nil, env, format...); err != nil {
			return err
		}
	}
	heap := strings.Fields(*s.project.Services["kafka"].Environment["KAFKA_HEAP_OPTS"])
	p, err := s.start("kafka", nil, env, slices.Concat(java[:1], heap, java[1:], []string{"kafka.Kafka", final})...)
	if err != nil {
		return err
	}
	return s.await(ctx, p, listens(address))
}

// redis runs the script of the Compose file with another port and folder.
func (s *stack) redis(ctx context.Context) error {
	address, err := s.provide("redis:6379")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(address)
	script := s.project.Services["redis"].Entrypoint
	last := strings.Replace(script[len(script)-1], "dir /data", "dir "+s.folder+"\nport "+port+"\nbind 127.0.0.1", 1)
	last = strings.ReplaceAll(last, "$$", "$")
	env := s.environment("redis")
	p, err := s.start("redis", nil, env, append(slices.Clone(script[:len(script)-1]), last)...)
	if err != nil {
		return err
	}
	return s.await(ctx, p, func() error {
		out, err := output(ctx, nil, env, "redis-cli", "-p", port, "ping")
		if err == nil && !bytes.Contains(out, []byte("PONG")) {
			err = fmt.Errorf("redis-cli ping prints %s", out)
		}
		return err
	})
}

func (s *stack) ferretDB(ctx context.Context) error {
	program, err := filepath.Abs(filepath.Join(s.dir, ".engines/bin/ferretdb"))
	if err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	// FerretDB has neither users nor replica sets.
	s.replace[*s.project.Services["reader"].Environment["CATALOG_MONGO_URL"]] = "mongodb://" + address + "/"
	postgres := fmt.Sprintf("postgres://postgres:%s@%s/ferretdb?pool_max_conns=40", *s.project.Services["postgres"].Environment["POSTGRES_PASSWORD"], s.replace["postgres:5432"])
	p, err := s.start("ferretdb", nil, []string{"PATH=" + os.Getenv("PATH")}, program, "-listen", address, "-postgres", postgres)
	if err != nil {
		return err
	}
	return s.await(ctx, p, listens(address))
}

// jaeger runs Jaeger with the mounted file. Only the ports differ, by the variables of the file.
func (s *stack) jaeger(ctx context.Context) error {
	program, err := filepath.Abs(filepath.Join(s.dir, ".engines/bin/jaeger"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); err != nil {
		return errors.New("Jaeger is not installed; run make engines-up once")
	}
	config, err := filepath.Abs(s.deploy("jaeger/config.yaml"))
	if err != nil {
		return err
	}
	env := []string{"JAEGER_HOST=127.0.0.1"}
	address := map[string]string{}
	for _, name := range []string{"JAEGER_QUERY_PORT", "JAEGER_QUERY_GRPC_PORT", "JAEGER_OTLP_PORT", "JAEGER_OTLP_HTTP_PORT", "JAEGER_HEALTH_PORT", "JAEGER_METRICS_PORT"} {
		if address[name], err = freeAddress(); err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(address[name])
		env = append(env, name+"="+port)
	}
	s.replace["jaeger:4317"], s.jaegerAPI = address["JAEGER_OTLP_PORT"], "http://"+address["JAEGER_QUERY_PORT"]
	p, err := s.start("jaeger", nil, env, program, "--config", config)
	if err != nil {
		return err
	}
	// The health check of the Compose file.
	return s.await(ctx, p, func() error { _, _, err := get(ctx, "http://"+address["JAEGER_HEALTH_PORT"]+"/status"); return err })
}

func (s *stack) program(name string) string {
	path, _ := filepath.Abs(filepath.Join(s.bin, name))
	return path
}

func (s *stack) migrate(ctx context.Context) error {
	_, err := output(ctx, nil, s.environment("migrate"), append([]string{s.program("catalog")}, s.project.Services["migrate"].Command...)...)
	return err
}

// services starts the three services in the order of the Compose file, each when the one before
// is ready. They listen on the ports of the Compose file, unless another process does.
func (s *stack) services(ctx context.Context) error {
	for _, name := range []string{"writer", "reader", "gateway"} {
		service := s.project.Services[name]
		for _, variable := range []string{"CATALOG_ADMIN", "CATALOG_GRPC", "CATALOG_HTTP"} {
			address := service.Environment[variable]
			if address == nil {
				continue
			}
			_, port, err := net.SplitHostPort(*address)
			if err != nil {
				return err
			}
			here := "127.0.0.1:" + port
			if listens(here)() == nil {
				if here, err = freeAddress(); err != nil {
					return err
				}
				fmt.Printf("    another process uses port %s: %s of %s is %s\n", port, variable, name, here)
			}
			s.replace[*address] = here
			if variable == "CATALOG_GRPC" {
				s.replace["dns:///"+name+":"+port] = here
			}
		}
		if index := service.Environment["CATALOG_INDEX"]; index != nil {
			s.replace[*index] = filepath.Join(s.folder, "index")
		}
		p, err := s.start(name, nil, s.environment(name), s.program(name))
		if err != nil {
			return err
		}
		admin := s.replace[*service.Environment["CATALOG_ADMIN"]]
		if err := s.await(ctx, p, func() error { _, _, err := get(ctx, "http://"+admin+"/readyz"); return err }); err != nil {
			return err
		}
	}
	return nil
}

// get returns the response to a GET request with status 200.
func get(ctx context.Context, url string, header ...string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return do(r, http.StatusOK)
}

func do(r *http.Request, status int) (*http.Response, []byte, error) {
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err == nil && w.StatusCode != status {
		err = fmt.Errorf("%s %s = %d %.300s; want %d", r.Method, r.URL, w.StatusCode, body, status)
	}
	return w, body, err
}

// writeAndRead writes a product through the gateway, reads it back by id and by search, and
// looks at the documentation, the metrics and, in Jaeger, the traces.
func (s *stack) writeAndRead(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	base := "http://" + s.replace[*s.project.Services["gateway"].Environment["CATALOG_HTTP"]]
	body := `{"sku":"CHA-7","name":"Folding chair","price":{"amount":"149.90","currency":"EUR"}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/v1/products", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	w, content, err := do(r, http.StatusCreated)
	if err != nil {
		return err
	}
	var product struct{ ID string }
	if err := json.Unmarshal(content, &product); err != nil {
		return err
	}
	position := w.Header.Get("Catalog-Position")
	for _, path := range []string{"/api/v1/products/" + product.ID, "/api/v1/products?q=folding"} {
		if _, content, err := get(ctx, base+path, "Catalog-Position", position); err != nil || !bytes.Contains(content, []byte(`"CHA-7"`)) {
			return cmp.Or(err, fmt.Errorf("GET %s does not return the product: %.300s", path, content))
		}
	}
	w, content, err = get(ctx, base+"/swagger/index.html")
	if err != nil || w.Request.URL.Path != "/docs/" || !bytes.Contains(content, []byte("/openapi.json")) {
		return cmp.Or(err, fmt.Errorf("/swagger/index.html leads to %s; want /docs/", w.Request.URL.Path))
	}
	for _, name := range []string{"gateway", "writer", "reader"} {
		admin := s.replace[*s.project.Services[name].Environment["CATALOG_ADMIN"]]
		if _, content, err := get(ctx, "http://"+admin+"/metrics"); err != nil || !bytes.Contains(content, []byte("\ncatalog_")) {
			return cmp.Or(err, fmt.Errorf("%s has no metrics of its own", name))
		}
	}
	for {
		_, content, err := get(ctx, s.jaegerAPI+"/api/services")
		if err != nil {
			return err
		}
		if bytes.Contains(content, []byte(`"gateway"`)) && bytes.Contains(content, []byte(`"writer"`)) && bytes.Contains(content, []byte(`"reader"`)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("Jaeger has no traces of all three services: %s", content)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
