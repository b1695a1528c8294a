package program

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"catalog/internal/daemon"
)

// adminHeaderTimeout limits the time in which a client of the admin port must send
// the header of its request; slower connections are closed.
const adminHeaderTimeout = 5 * time.Second

// enginesCheck is the readiness check that fails until all engines are opened.
// Then the checks of the engines take its place.
const enginesCheck = "engines"

// adminPort is the admin port of a process. It is served before the engines are opened, so that a
// process that waits for an engine is alive and reports why it is not ready.
type adminPort struct {
	addr    string
	handler atomic.Pointer[http.Handler]
	stop    func()
	stopped chan error // receives the result of the server
}

// serveAdmin starts to serve the admin port. Until Run, the process is not ready.
func (p *Process) serveAdmin() error {
	l, err := daemon.Listen(p.daemon.AdminAddr)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	a := &adminPort{addr: l.Addr().String(), stop: stop, stopped: make(chan error, 1)}
	readyGauge(p.Telemetry.Registry).WithLabelValues(enginesCheck).Set(0)
	p.setChecks(a, daemon.Check{Name: enginesCheck, Ping: func(context.Context) error {
		if err := p.Engines.Waiting(); err != nil {
			return err
		}
		return errors.New("the engines are being opened")
	}})
	current := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 { // no path takes a body; net/http would wait for it before it sends the response
			_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		}
		(*a.handler.Load()).ServeHTTP(w, r)
	})
	server := daemon.Serve("admin", l, &http.Server{
		Handler:           daemon.OnlyHosts(current, daemon.AllowedHosts(l.Addr(), "")),
		ReadHeaderTimeout: adminHeaderTimeout,
	})
	go func() { a.stopped <- server.Run(ctx) }()
	p.admin = a
	return nil
}

// setChecks sets the checks of readiness that the admin port serves.
func (p *Process) setChecks(a *adminPort, checks ...daemon.Check) {
	for i, c := range checks {
		checks[i].Ping = func(ctx context.Context) error {
			if err := c.Ping(ctx); err != nil {
				return errors.New(p.secrets.Hide(err.Error()))
			}
			return nil
		}
	}
	h := daemon.Admin(p.Telemetry.Metrics(), checks...)
	a.handler.Store(&h)
}

// part returns the part that ends the server, or that ends with it.
func (a *adminPort) part() daemon.Part {
	return daemon.Part{Name: "admin", Run: func(ctx context.Context) error {
		select {
		case err := <-a.stopped:
			return err
		case <-ctx.Done():
			a.stop()
			return <-a.stopped
		}
	}}
}
