// Package rpc makes gRPC servers and clients that are alike in all services:
// health, reflection, request validation by the rules in the contract,
// metrics, traces, and no answer that leaks what went wrong inside.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"catalog"
)

// MaxMessage is the largest message that a server takes and a client reads: a
// page of the largest products fits many times.
const MaxMessage = 64 << 20

// Server is a gRPC server with health and reflection.
type Server struct {
	*grpc.Server
	health *health.Server
	onStop []func()
}

// OnStop has f called when the server stops: so that streams end which would
// not end by themselves. It is called before Run.
func (s *Server) OnStop(f func()) { s.onStop = append(s.onStop, f) }

// NewServer makes a server without services. Metrics go to reg.
func NewServer(log *slog.Logger, reg prometheus.Registerer) *Server {
	m := newMetrics(reg, "server")
	s := &Server{
		Server: grpc.NewServer(
			grpc.StatsHandler(otelgrpc.NewServerHandler()),
			grpc.ChainUnaryInterceptor(m.unaryServer, guardUnary(log), validateUnary),
			grpc.ChainStreamInterceptor(m.streamServer, guardStream(log)),
			grpc.MaxRecvMsgSize(4<<20), grpc.MaxSendMsgSize(MaxMessage),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		),
		health: health.NewServer(),
	}
	healthpb.RegisterHealthServer(s, s.health)
	reflection.Register(s)
	return s
}

// Run serves on l until ctx ends, and then lets the calls in hand end.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		s.health.Shutdown()
		for _, f := range s.onStop {
			f()
		}
		finished := make(chan struct{})
		go func() { s.GracefulStop(); close(finished) }()
		select {
		case <-finished:
		case <-time.After(3 * time.Second): // streams may never end by themselves
			s.Stop()
		}
	})
	defer stop()
	return s.Serve(l)
}

// policy is how clients call: what no server has answered once more, at most
// twice. Every call of ours may be repeated. When more than about a tenth of the
// calls fail, none is: retries must not finish off what is down. The pauses are
// short, since the next try goes to another server.
const policy = `{
	"loadBalancingConfig": [{"` + balancing + `": {}}],
	"healthCheckConfig": {"serviceName": ""},
	"methodConfig": [{"name": [{}], "retryPolicy": {
		"maxAttempts": 3, "initialBackoff": "0.01s", "maxBackoff": "0.05s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}}],
	"retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1}
}`

// patience is how long a call takes at most whose caller has not said it.
const patience = 10 * time.Second

// atOnce is how many calls to one target may be under way. More would not be
// answered sooner, and those behind them too late.
const atOnce = 1000

// Dial makes a client of the servers at the target: one address, several with
// commas between, or a name that stands for several, such as
// dns:///reader:9090. Calls go to all of them in turn, without those that do
// not answer; when none does, calls fail at once. It connects in the background
// and again whenever it must.
func Dial(target string, reg prometheus.Registerer) (*grpc.ClientConn, error) {
	m, b := newMetrics(reg, "client"), &breakers{reg: reg, flying: make(chan struct{}, atOnce)}
	list := manual.NewBuilderWithScheme("list")
	if strings.Contains(target, ",") {
		var addresses []resolver.Address
		for address := range strings.SplitSeq(target, ",") {
			addresses = append(addresses, resolver.Address{Addr: strings.TrimSpace(address)})
		}
		list.InitialState(resolver.State{Addresses: addresses})
		target = "list:///" + target
	}
	c, err := grpc.NewClient(target,
		grpc.WithResolvers(list),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()),
		grpc.WithChainUnaryInterceptor(m.unaryClient, b.unary),
		grpc.WithChainStreamInterceptor(b.stream),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 3 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 250 * time.Millisecond},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithDefaultServiceConfig(policy),
	)
	if err != nil {
		return nil, fmt.Errorf("address %q of a gRPC server: %w", target, err)
	}
	return c, nil
}

// Ping asks the health of the servers behind c.
func Ping(c *grpc.ClientConn) func(context.Context) error {
	client := healthpb.NewHealthClient(c)
	return func(ctx context.Context) error {
		r, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			return fmt.Errorf("%s: %s", c.Target(), status.Convert(err).Message())
		}
		if r.Status != healthpb.HealthCheckResponse_SERVING {
			return fmt.Errorf("%s is %s", c.Target(), r.Status)
		}
		return nil
	}
}

// validateUnary refuses requests that break the rules in the contract.
func validateUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if m, ok := req.(proto.Message); ok {
		if err := validate(m); err != nil {
			return nil, err
		}
	}
	return handler(ctx, req)
}

func validate(m proto.Message) error {
	err := protovalidate.Validate(m)
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	refusal := &catalog.Refusal{}
	for _, v := range invalid.Violations {
		refusal.Add(protovalidate.FieldPathString(v.Proto.GetField()), v.Proto.GetMessage())
	}
	return Invalid(refusal.Fields)
}

// Invalid is the status of a request with wrong fields: INVALID_ARGUMENT with a
// google.rpc.BadRequest. Fields reads it again.
func Invalid(fields []catalog.FieldError) error {
	bad := &errdetails.BadRequest{}
	message := "invalid request"
	for i, f := range fields {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: f.Field, Description: f.Reason})
		if i == 0 {
			message = f.Field + " " + f.Reason
		}
	}
	s, err := status.New(codes.InvalidArgument, message).WithDetails(bad)
	if err != nil {
		return status.Error(codes.InvalidArgument, message)
	}
	return s.Err()
}

// Fields answers what Invalid has put into err, or nil.
func Fields(err error) []catalog.FieldError {
	var fields []catalog.FieldError
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.FieldViolations {
				fields = append(fields, catalog.FieldError{Field: v.Field, Reason: v.Description})
			}
		}
	}
	return fields
}

// Error is the status of err: the one table from kinds of errors to gRPC
// codes. What is not in it is ours to mend: INTERNAL, without a detail.
func Error(err error) error {
	var refusal *catalog.Refusal
	switch {
	case err == nil:
		return nil
	case errors.Is(err, catalog.ErrNotFound):
		return status.Error(codes.NotFound, err.Error())
	case errors.As(err, &refusal):
		return Invalid(refusal.Fields)
	case errors.Is(err, catalog.ErrStale):
		return status.Error(codes.FailedPrecondition, catalog.ErrStale.Error())
	case errors.Is(err, catalog.ErrTooSlow):
		return status.Error(codes.ResourceExhausted, catalog.ErrTooSlow.Error())
	case errors.Is(err, catalog.ErrUnavailable):
		return status.Error(codes.Unavailable, catalog.ErrUnavailable.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "not answered in time")
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the caller has gone")
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return &hidden{err}
}

// hidden is an error that is logged here and not told to the caller.
type hidden struct{ error }

func (h *hidden) GRPCStatus() *status.Status { return status.New(codes.Internal, "internal error") }
func (h *hidden) Unwrap() error              { return h.error }

// guardUnary makes one status of whatever a handler answers, and of a panic.
func guardUnary(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
		defer func() { err = guard(ctx, log, info.FullMethod, recover(), err) }()
		return handler(ctx, req)
	}
}

func guardStream(log *slog.Logger) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		defer func() { err = guard(stream.Context(), log, info.FullMethod, recover(), err) }()
		return handler(srv, validated{stream})
	}
}

func guard(ctx context.Context, log *slog.Logger, method string, panicked any, err error) error {
	if panicked != nil {
		log.ErrorContext(ctx, "call panicked", "method", path.Base(method), "err", panicked, "stack", string(debug.Stack()))
		return status.Error(codes.Internal, "internal error")
	}
	err = Error(err)
	if status.Code(err) == codes.Unavailable {
		// An engine is away. Asking again, or another server, does not help.
		if err := grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "-1")); err != nil {
			log.DebugContext(ctx, "no trailer", "err", err)
		}
	}
	if h := (*hidden)(nil); errors.As(err, &h) {
		log.ErrorContext(ctx, "call failed", "method", path.Base(method), "err", h.error)
	}
	return err
}

// validated is a stream that refuses requests that break the contract's rules.
type validated struct{ grpc.ServerStream }

func (v validated) RecvMsg(m any) error {
	if err := v.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return validate(m.(proto.Message))
}
