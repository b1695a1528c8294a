// Package rpc makes the gRPC servers and clients of all services. Servers have
// health checks, reflection, request validation by the rules in the contract,
// metrics and traces, and never return internal details. Clients balance calls
// over servers, skip servers that do not respond, and retry within a budget.
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
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"catalog"
)

// Limits of a server.
const (
	// MaxMessage is the largest message, in bytes, that a server sends and a client
	// receives: many times a page of the largest products.
	MaxMessage = 64 << 20
	// maxRequest is the largest request, in bytes, that a server receives: 256
	// commands with products of the largest size fit.
	maxRequest = 4 << 20
	// maxStreams is how many calls one connection may have in progress: the calls of a
	// client, of which there are at most maxCalls, and its streams.
	maxStreams = 2 * maxCalls
	// maxHeaders is the largest header of a call, in bytes.
	maxHeaders = 32 << 10
	// streamTimeout is the time in which a client must take a message of a stream. A
	// reader whose view is away for a minute continues; a client that is gone or never
	// reads gives its place to another one.
	streamTimeout = 2 * time.Minute
	// minPing is the shortest interval of keepalive pings that a server accepts;
	// clients ping every pingInterval.
	minPing = 5 * time.Second
	// maxConnectionAge is the time after which a server asks a client to open another
	// connection. A client resolves a name again only when it loses a connection, so
	// without this limit it would never learn of servers that were added. Calls and
	// streams in progress end on the old connection.
	maxConnectionAge = 5 * time.Minute
	// healthPoll is the time between two checks of a server that is not ready.
	healthPoll = 50 * time.Millisecond
	// drainTimeout is the time that calls in progress have to end when a server
	// stops. Streams may not end by themselves.
	drainTimeout = 3 * time.Second
)

// Server is a gRPC server with health checks and reflection.
type Server struct {
	*grpc.Server
	health *health.Server
	ready  func(context.Context) error // readiness check; nil for a server that is ready at once
	onStop []func()
}

// ServeWhen makes the server report NOT_SERVING until check returns nil for the first
// time. Clients send their calls to other servers until then. Call it before Run.
func (s *Server) ServeWhen(check func(context.Context) error) {
	s.ready = check
	s.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
}

// OnStop registers f to be called when the server begins to stop, so that f can
// end streams that do not end by themselves. Call it before Run.
func (s *Server) OnStop(f func()) { s.onStop = append(s.onStop, f) }

// NewServer returns a server without services. It registers its metrics with reg.
// opts override its own options.
func NewServer(log *slog.Logger, reg prometheus.Registerer, opts ...grpc.ServerOption) *Server {
	m := newServerMetrics(reg)
	s := &Server{
		Server: grpc.NewServer(append([]grpc.ServerOption{
			grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithFilter(traced))),
			grpc.ChainUnaryInterceptor(m.unaryServer, recoverUnary(log), validateUnary),
			grpc.ChainStreamInterceptor(m.streamServer, recoverStream(log)),
			grpc.MaxRecvMsgSize(maxRequest), grpc.MaxSendMsgSize(MaxMessage),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
			grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: maxConnectionAge, Time: pingInterval, Timeout: pingTimeout}),
			grpc.MaxConcurrentStreams(maxStreams), grpc.MaxHeaderListSize(maxHeaders),
		}, opts...)...),
		health: health.NewServer(),
	}
	healthpb.RegisterHealthServer(s, s.health)
	reflection.Register(s)
	return s
}

// Run serves on l until ctx ends. It then waits at most drainTimeout for the
// calls in progress.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		s.health.Shutdown()
		for _, f := range s.onStop {
			f()
		}
		drained := make(chan struct{})
		go func() { s.GracefulStop(); close(drained) }()
		select {
		case <-drained:
		case <-time.After(drainTimeout):
			s.Stop()
		}
	})
	defer stop()
	if s.ready != nil {
		go s.serveWhenReady(ctx)
	}
	return s.Serve(l)
}

func (s *Server) serveWhenReady(ctx context.Context) {
	for s.ready(ctx) != nil {
		select {
		case <-time.After(healthPoll):
		case <-ctx.Done():
			return
		}
	}
	s.health.SetServingStatus("", healthpb.HealthCheckResponse_SERVING) // without effect after Shutdown
}

// traced reports whether a call gets a span. Checks of readiness would be most of
// the spans of an idle system, and a client follows changes for as long as it wants.
func traced(call *stats.RPCTagInfo) bool {
	return !strings.HasPrefix(call.FullMethodName, "/grpc.") && path.Base(call.FullMethodName) != "WatchChanges"
}

// validateUnary rejects requests that break the rules in the contract.
func validateUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if m, ok := req.(proto.Message); ok {
		if err := validate(m); err != nil {
			return nil, err
		}
	}
	return handler(ctx, req)
}

// validate returns the first rule that m breaks: one request can break a million.
func validate(m proto.Message) error {
	err := protovalidate.Validate(m, protovalidate.WithFailFast())
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	refusal := &catalog.Refusal{Code: catalog.CodeInvalid}
	for _, v := range invalid.Violations {
		refusal.Add(protovalidate.FieldPathString(v.Proto.GetField()), v.Proto.GetMessage())
	}
	return ToStatus(refusal)
}

// recoverUnary converts the error or panic of a handler to a status and logs
// errors whose details are hidden from the caller.
func recoverUnary(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
		defer func() { err = finish(ctx, log, info.FullMethod, recover(), err) }()
		return handler(ctx, req)
	}
}

func recoverStream(log *slog.Logger) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		defer func() { err = finish(stream.Context(), log, info.FullMethod, recover(), err) }()
		return handler(srv, LimitStream(stream))
	}
}

// finish returns the status of a call that ended with err, or with a panic.
func finish(ctx context.Context, log *slog.Logger, method string, panicked any, err error) error {
	if panicked != nil {
		log.ErrorContext(ctx, "call panicked", "method", path.Base(method), "err", panicked, "stack", string(debug.Stack()))
		return status.Error(codes.Internal, "internal error")
	}
	err = ToStatus(err)
	if status.Code(err) == codes.Unavailable {
		// An engine does not respond. A retry at once, or at another server, does
		// not help, so the server tells gRPC not to retry.
		if err := grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "-1")); err != nil {
			log.DebugContext(ctx, "retry pushback not sent", "err", err)
		}
	}
	if h := (*hiddenError)(nil); errors.As(err, &h) {
		log.ErrorContext(ctx, "call failed", "method", path.Base(method), "err", h.error)
	}
	return err
}

// LimitStream returns a stream that rejects requests that break the rules in the
// contract, and whose SendMsg returns ErrUnavailable when the client has not taken the
// message after two minutes. Streams of a [Server] are limited already.
func LimitStream(s grpc.ServerStream) grpc.ServerStream { return limitedStream{s} }

type limitedStream struct{ grpc.ServerStream }

// SendMsg sends m. After an error the handler returns, which ends the stream and frees
// the message.
func (v limitedStream) SendMsg(m any) error {
	sent := make(chan error, 1)
	go func() { sent <- v.ServerStream.SendMsg(m) }()
	timeout := time.NewTimer(streamTimeout)
	defer timeout.Stop()
	select {
	case err := <-sent:
		return err
	case <-timeout.C:
		return fmt.Errorf("%w: the client took nothing for %v", catalog.ErrUnavailable, streamTimeout)
	}
}

func (v limitedStream) RecvMsg(m any) error {
	if err := v.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return validate(m.(proto.Message))
}
