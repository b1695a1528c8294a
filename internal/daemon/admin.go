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
	"sync"
	"time"
)

// Check is something that must be well for the process to do its work.
type Check struct {
	Name string // of the engine or part, as people know it
	Ping func(context.Context) error
}

// Config is what every process lets people set.
type Config struct {
	AdminAddr       string        // address of the admin port
	ShutdownDelay   time.Duration // for which all goes on when the process is asked to stop
	ShutdownTimeout time.Duration // for a clean stop, drain included
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet, admin string) {
	fs.StringVar(&c.AdminAddr, "admin", admin, "`address` of /livez, /readyz, /metrics and /debug/pprof; keep it off the public network")
	fs.DurationVar(&c.ShutdownDelay, "drain", c.ShutdownDelay, "`time` to go on answering while /readyz says no already, so that load balancers look away before the process stops")
	fs.DurationVar(&c.ShutdownTimeout, "grace", 8*time.Second, "`time` allowed to stop cleanly before giving up")
}

// Drain lets a process leave without anybody noticing. When ctx ends the check
// is an error, and the part keeps those before it going for d: it is the last.
func Drain(ctx context.Context, d time.Duration) (Check, Part) {
	return Check{Name: "stay", Ping: func(context.Context) error {
			if ctx.Err() != nil {
				return errors.New("the process is stopping")
			}
			return nil
		}}, Part{Name: "drain", Run: func(ctx context.Context) error {
			<-ctx.Done()
			<-time.After(d)
			return nil
		}}
}

// Serve is a part that serves HTTP on l until it is stopped, and then lets the
// requests in hand end.
func Serve(name string, l net.Listener, s *http.Server) Part {
	return Part{Name: name, Run: func(ctx context.Context) error {
		stopped := make(chan error, 1)
		stop := context.AfterFunc(ctx, func() { stopped <- s.Shutdown(context.WithoutCancel(ctx)) })
		err := s.Serve(l)
		if stop() { // not asked to stop
			return err
		}
		return <-stopped
	}}
}

// Listen opens the TCP address, or says in one line what to do.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; stop what uses it or choose another address", address, err)
	}
	return l, nil
}

// Admin is the handler of the admin port:
//
//	/livez   200 while the process can answer at all
//	/readyz  200 when all checks pass within a second, else 503; names each
//	/metrics what metrics answers
//	/debug/pprof/
func Admin(metrics http.Handler, checks ...Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		results, ok := probe(r.Context(), checks)
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		json.NewEncoder(w).Encode(map[string]any{"ready": ok, "checks": results})
	})
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func probe(ctx context.Context, checks []Check) (results map[string]string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
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
