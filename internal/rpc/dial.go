package rpc

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
)

// Limits of a client.
const (
	// defaultTimeout limits a call whose context has no deadline.
	defaultTimeout = 10 * time.Second
	// maxCalls is how many calls to one target may be in progress. More calls would
	// not finish sooner, and the last of them would finish too late for their callers.
	maxCalls = 1000
	// pingInterval is the interval of keepalive pings, and pingTimeout the time
	// after which a connection without a reply is closed.
	pingInterval, pingTimeout = 10 * time.Second, 3 * time.Second
	// minConnectTimeout is the time that an attempt to connect may take.
	minConnectTimeout = 2 * time.Second
)

// serviceConfig makes a client retry a call that no server has processed, at most
// twice; every call of this system is safe to repeat. When more than about a
// tenth of the calls fail, the client stops retrying, so that retries do not
// keep an overloaded system down. The backoff is short because the next attempt
// goes to another server.
const serviceConfig = `{
	"loadBalancingConfig": [{"` + balancerName + `": {}}],
	"healthCheckConfig": {"serviceName": ""},
	"methodConfig": [{"name": [{}], "retryPolicy": {
		"maxAttempts": 3, "initialBackoff": "0.01s", "maxBackoff": "0.05s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}}],
	"retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1}
}`

// Dial returns a client of the servers at the target: one address, several
// addresses with commas between, or a name that resolves to several, such as
// dns:///reader:9090. The client spreads calls over the servers that respond;
// when no server responds, calls fail at once. It connects and reconnects in the
// background. opts override its own options.
func Dial(target string, reg prometheus.Registerer, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	m, b := newClientMetrics(reg), newBreakers(reg)
	list := manual.NewBuilderWithScheme("list")
	if strings.Contains(target, ",") {
		var addresses []resolver.Address
		for address := range strings.SplitSeq(target, ",") {
			addresses = append(addresses, resolver.Address{Addr: strings.TrimSpace(address)})
		}
		list.InitialState(resolver.State{Addresses: addresses})
		target = "list:///" + target
	}
	c, err := grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithResolvers(list),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithFilter(traced))),
		grpc.WithChainUnaryInterceptor(m.unaryClient, b.unary),
		grpc.WithChainStreamInterceptor(b.stream),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 250 * time.Millisecond},
			MinConnectTimeout: minConnectTimeout,
		}),
		grpc.WithDefaultServiceConfig(serviceConfig),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("address %q of a gRPC server: %w", target, err)
	}
	b.probe = func(ctx context.Context, address string) error { return probeServer(ctx, c, address) }
	return c, nil
}

// Ping returns a readiness check: it calls the health service of a server behind c.
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
