package rpc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"catalog"
	"catalog/internal/breaker"
	"catalog/internal/metrics"
)

// balancerName is the name of the balancing policy: round robin over the healthy
// servers, without servers whose circuit breaker is open.
const balancerName = "catalog"

// gRPC keeps balancers by name, for the whole process, and requires registration
// before the first client is made.
func init() {
	balancer.Register(base.NewBalancerBuilder(balancerName, pickerBuilder{}, base.Config{HealthCheck: true}))
}

// breakers holds the circuit breakers of the servers behind one target.
type breakers struct {
	reg       prometheus.Registerer
	byAddress sync.Map                                        // string to *breaker.Breaker
	probe     func(ctx context.Context, address string) error // asks one server for its health; set by Dial
	calls     chan struct{}                                   // one element for each call in progress
	shed      prometheus.Counter
}

func newBreakers(reg prometheus.Registerer) *breakers {
	return &breakers{reg: reg, calls: make(chan struct{}, maxCalls), shed: metrics.Shed(reg, "calls")}
}

// of returns the breaker of the server at the address.
func (b *breakers) of(address string) *breaker.Breaker {
	if found, ok := b.byAddress.Load(address); ok {
		return found.(*breaker.Breaker)
	}
	found, _ := b.byAddress.LoadOrStore(address, breaker.New(address, b.reg))
	return found.(*breaker.Breaker)
}

// breakersKey is the context key under which a call carries the breakers of its
// target to the picker. gRPC makes the picker, so Dial cannot give it the breakers.
type breakersKey struct{}

// addressKey is the context key of the address to which the picker sends a probe,
// whatever its breaker says.
type addressKey struct{}

// probeServer asks the server at the address for its health, on the connection that
// calls use. Any status is a sign of life: gRPC itself avoids servers that do not serve.
func probeServer(ctx context.Context, cc *grpc.ClientConn, address string) error {
	_, err := healthpb.NewHealthClient(cc).Check(context.WithValue(ctx, addressKey{}, address), &healthpb.HealthCheckRequest{})
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return fmt.Errorf("%s does not respond: %w", address, catalog.ErrUnavailable)
	}
	return nil
}

func (b *breakers) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if ctx.Value(addressKey{}) != nil { // a probe needs no slot
		return invoke(context.WithValue(ctx, breakersKey{}, b), method, req, reply, cc, opts...)
	}
	select {
	case b.calls <- struct{}{}:
		defer func() { <-b.calls }()
	default:
		b.shed.Inc()
		return errTooManyCalls
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultTimeout)
		defer cancel()
	}
	return invoke(context.WithValue(ctx, breakersKey{}, b), method, req, reply, cc, opts...)
}

func (b *breakers) stream(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(context.WithValue(ctx, breakersKey{}, b), d, cc, method, opts...)
}

// errTooManyCalls is returned when maxCalls calls are in progress.
var errTooManyCalls = ToStatus(catalog.ErrOverloaded)

type pickerBuilder struct{}

// Build returns a picker over the ready servers.
func (pickerBuilder) Build(info base.PickerBuildInfo) balancer.Picker {
	if len(info.ReadySCs) == 0 {
		return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	}
	p := &picker{}
	for conn, about := range info.ReadySCs {
		p.servers = append(p.servers, server{conn, about.Address.Addr})
	}
	p.next.Store(rand.Uint32())
	return p
}

type picker struct {
	servers []server
	next    atomic.Uint32
}

type server struct {
	conn    balancer.SubConn
	address string
}

// errNoServer fails a call at once: gRPC does not retry a status from a picker.
var errNoServer = status.Error(codes.Unavailable, "no server responds")

// Pick returns the next server whose breaker allows the call.
func (p *picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	all := info.Ctx.Value(breakersKey{}).(*breakers)
	first, n := p.next.Add(1), uint32(len(p.servers))
	probed, isProbe := info.Ctx.Value(addressKey{}).(string)
	for i := range n {
		s := &p.servers[(first+i)%n]
		if isProbe {
			if s.address == probed {
				return balancer.PickResult{SubConn: s.conn}, nil
			}
			continue
		}
		probe := func(ctx context.Context) error { return all.probe(ctx, s.address) }
		if b := all.of(s.address); b.Allow(probe) {
			return balancer.PickResult{SubConn: s.conn, Done: func(d balancer.DoneInfo) { b.Record(probe, outcome(d)) }}, nil
		}
	}
	return balancer.PickResult{}, errNoServer
}

// outcome returns what a call shows about the server. A server that sends any reply
// works, even when the reply says that an engine does not respond. A call that ran out
// of its caller's time may be a heavy one; the probe shows whether the server responds.
func outcome(d balancer.DoneInfo) breaker.Outcome {
	if d.Err == nil || d.BytesReceived {
		return breaker.Succeeded
	}
	switch status.Code(d.Err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return breaker.Failed
	}
	return breaker.Canceled
}
