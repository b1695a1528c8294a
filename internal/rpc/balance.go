package rpc

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog/internal/breaker"
)

// balancing is the name of how calls are spread: over all servers in turn that
// say they serve, without those that do not answer.
const balancing = "catalog"

// gRPC knows ways to balance by name, for the whole process, and wants to be
// told of them before the first client is made.
func init() {
	balancer.Register(base.NewBalancerBuilder(balancing, pickers{}, base.Config{HealthCheck: true}))
}

// breakers are those of the servers behind one target, by address.
type breakers struct {
	reg    prometheus.Registerer
	all    sync.Map      // of address to *breaker.Breaker
	flying chan struct{} // has one for each call
}

func (b *breakers) of(address string) *breaker.Breaker {
	if at, ok := b.all.Load(address); ok {
		return at.(*breaker.Breaker)
	}
	at, _ := b.all.LoadOrStore(address, breaker.New(address, b.reg))
	return at.(*breaker.Breaker)
}

// breakersKey is where a call carries the breakers of its target to the picker,
// which gRPC makes out of reach of who dials.
type breakersKey struct{}

func (b *breakers) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	select {
	case b.flying <- struct{}{}:
		defer func() { <-b.flying }()
	default:
		return status.Error(codes.ResourceExhausted, "too many calls at once")
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	return invoke(context.WithValue(ctx, breakersKey{}, b), method, req, reply, cc, opts...)
}

func (b *breakers) stream(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(context.WithValue(ctx, breakersKey{}, b), d, cc, method, opts...)
}

type pickers struct{}

// Build makes a picker among the servers that serve.
func (pickers) Build(info base.PickerBuildInfo) balancer.Picker {
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

// errSilent ends a call at once: it is a status, so gRPC does not try again.
var errSilent = status.Error(codes.Unavailable, "no server has answered lately")

// Pick picks the next server whose breaker allows it.
func (p *picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	all := info.Ctx.Value(breakersKey{}).(*breakers)
	first, n := p.next.Add(1), uint32(len(p.servers))
	for i := range n {
		s := &p.servers[(first+i)%n]
		if b := all.of(s.address); b.Allow() {
			return balancer.PickResult{SubConn: s.conn, Done: func(d balancer.DoneInfo) { b.Record(outcome(d)) }}, nil
		}
	}
	return balancer.PickResult{}, errSilent
}

// outcome is what a call says about the server. One that answers anything is
// well, be it that an engine is away.
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
