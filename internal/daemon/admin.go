package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"slices"
	"sync"
	"time"
)

// probeTimeout limits all checks of one request to /readyz together, so that the
// answer arrives before the timeouts that load balancers commonly use (1–5 s).
const probeTimeout = time.Second

// Check is a condition of readiness: the process is ready when all checks pass.
type Check struct {
	// Name identifies the engine or part in the body of /readyz.
	Name string
	// Ping returns nil if the engine or part works, else an error that says why not.
	Ping func(context.Context) error
}

// Config holds the settings common to all processes.
type Config struct {
	// AdminAddr is the TCP address (host:port) of the admin port. The port serves
	// profiles, so it should not be reachable from a public network.
	AdminAddr string

	// ShutdownDelay is how long the process keeps serving after SIGTERM while
	// /readyz already returns 503. It should exceed the probe interval of the load
	// balancer, so that no client sees a refused connection. 0 stops immediately.
	ShutdownDelay time.Duration

	// ShutdownTimeout limits the whole shutdown, ShutdownDelay included. After it
	// the process exits with an error. It should be shorter than the time after
	// which the supervisor sends SIGKILL. The default is 8 s.
	ShutdownTimeout time.Duration

	// HealthCheck makes the program ask a running process at AdminAddr whether it is
	// ready, instead of starting one. See [HealthCheck].
	HealthCheck bool
}

// defaultShutdownTimeout is below the 10 s after which container runtimes kill.
const defaultShutdownTimeout = 8 * time.Second

// Flags declares the flags of c. adminAddr is the default of -admin, and the value
// of c.ShutdownDelay the default of -shutdown-delay.
func (c *Config) Flags(fs *flag.FlagSet, adminAddr string) {
	fs.StringVar(&c.AdminAddr, "admin", adminAddr, "`address` of /livez, /readyz, /metrics and /debug/pprof; keep it off public networks")
	fs.DurationVar(&c.ShutdownDelay, "shutdown-delay", c.ShutdownDelay, "`time` to keep serving after SIGTERM while /readyz returns 503, so that load balancers stop sending requests first")
	fs.DurationVar(&c.ShutdownTimeout, "shutdown-timeout", defaultShutdownTimeout, "`time` limit of the whole shutdown, -shutdown-delay included; after it the process exits with an error")
	fs.BoolVar(&c.HealthCheck, "healthcheck", false, "ask the process that runs at -admin whether it is ready, print the answer on one line and exit with code 0 (ready) or 1; for containers, which have no shell")
}

// Drain delays a shutdown by d. When ctx ends, the returned check fails at once, so
// that load balancers stop sending requests, and the returned part, which must be the
// last one given to Run, keeps the other parts running for d.
func Drain(ctx context.Context, d time.Duration) (Check, Part) {
	return Check{Name: "shutdown", Ping: func(context.Context) error {
			if ctx.Err() != nil {
				return errors.New("the process is shutting down")
			}
			return nil
		}}, Part{Name: "drain", Run: func(ctx context.Context) error {
			<-ctx.Done()
			<-time.After(d)
			return nil
		}}
}

// Serve returns a part that serves HTTP on l. When stopped, it accepts no new
// requests and waits for the running ones.
func Serve(name string, l net.Listener, s *http.Server) Part {
	return Part{Name: name, Run: func(ctx context.Context) error {
		stopped := make(chan error, 1)
		stop := context.AfterFunc(ctx, func() { stopped <- s.Shutdown(context.WithoutCancel(ctx)) })
		err := s.Serve(l)
		if stop() { // Serve failed by itself; the context had not ended
			return err
		}
		return <-stopped
	}}
}

// Listen listens on the TCP address. Its error is one line that says what to do.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; stop the process that uses it, or choose another address", address, err)
	}
	return l, nil
}

// Admin returns the handler of the admin port:
//
//	/livez         200 while the process responds at all
//	/readyz        200 if all checks pass within one second, else 503; lists each check;
//	               ?exclude=NAME, which may be repeated, leaves out a check
//	/metrics       the metrics handler
//	/debug/pprof/  profiles
func Admin(metrics http.Handler, checks ...Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		excluded := r.URL.Query()["exclude"]
		results, ok := probe(r.Context(), slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return slices.Contains(excluded, c.Name) }))
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		json.NewEncoder(w).Encode(readiness{ok, results})
	})
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", cmdline(os.Args))
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// probe runs all checks concurrently. results maps the name of each check to "ok" or
// to the text of its error; ok reports whether all passed.
func probe(ctx context.Context, checks []Check) (results map[string]string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(checks))
	for i, c := range checks {
		wg.Go(func() { errs[i] = c.Ping(ctx) })
	}
	wg.Wait()
	results = map[string]string{}
	for i, c := range checks {
		results[c.Name] = "ok"
		if errs[i] != nil {
			results[c.Name] = errs[i].Error()
		}
	}
	return results, errors.Join(errs...) == nil
}
