package program

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"

	catalogv1 "catalog/api/catalog/v1"
	"catalog/gateway"
	"catalog/internal/breaker"
	"catalog/internal/daemon"
	"catalog/internal/journal"
	"catalog/internal/rpc"
	"catalog/reader"
	"catalog/reader/projection"
	"catalog/web"
	"catalog/writer"
)

// Dial returns a connection to the gRPC services at target, closed with the engines.
// It does not wait for the server.
func (p *Process) Dial(target string) (*grpc.ClientConn, error) {
	conn, err := rpc.Dial(target, p.Telemetry.Registry)
	if err != nil {
		return nil, err
	}
	p.Engines.OnClose(func() { conn.Close() })
	return conn, nil
}

// GRPC returns a server without services, its address, and the part that runs it.
// Parts stop in reverse order: those that call the server while they stop come after
// it.
func (p *Process) GRPC(address string) (*rpc.Server, net.Addr, daemon.Part, error) {
	l, err := daemon.Listen(address)
	if err != nil {
		return nil, nil, daemon.Part{}, err
	}
	p.addresses = append(p.addresses, slog.String("grpc", l.Addr().String()))
	s := rpc.NewServer(p.Telemetry.Log, p.Telemetry.Registry)
	return s, l.Addr(), daemon.Part{Name: "grpc", Run: func(ctx context.Context) error { return s.Run(ctx, l) }}, nil
}

// Writer returns the part that processes commands, and registers the writer's service
// on s.
func (p *Process) Writer(store writer.Store, log writer.Log, c writer.Config, s *rpc.Server) daemon.Part {
	t := p.Telemetry
	catalogv1.RegisterWriterServiceServer(s, writer.Server{Store: store, Breaker: breaker.New("store", t.Registry), Log: log, Memory: p.Engines.Memory})
	return daemon.Part{Name: "writer", Run: writer.New(writer.Deps{Store: store, Log: log, Logger: t.Log, Now: time.Now, Registry: t.Registry, Config: c, Memory: p.Engines.Memory}).Run}
}

// ReaderConfig holds the parts of a reader.
type ReaderConfig struct {
	View  projection.View
	Cache reader.Cache // nil for none
	Index reader.Index
	Log   reader.Log

	// Writer is the connection to the writer, whose journal the reader falls back on.
	Writer *grpc.ClientConn

	// VerifyInterval is the time between two comparisons of view, cache and index with
	// the journal; 0 turns them off. The default is one hour.
	VerifyInterval time.Duration
}

// Flags declares the flags of c.
func (c *ReaderConfig) Flags(fs *flag.FlagSet) {
	fs.DurationVar(&c.VerifyInterval, "verify-interval", time.Hour, "`time` between two comparisons of view, cache and index with the journal; 0 turns them off")
}

// Reader returns a reader and the parts that apply events and verify, and registers
// the reader's service on s. Readiness includes that the reader has caught up with the
// events.
func (p *Process) Reader(c ReaderConfig, s *rpc.Server) (*reader.Reader, []daemon.Part) {
	t := p.Telemetry
	r := reader.New(reader.Deps{
		View: c.View, Cache: c.Cache, Index: c.Index, Log: c.Log, Journal: journal.Journal{Client: catalogv1.NewWriterServiceClient(c.Writer)},
		Logger: t.Log, Now: time.Now, Registry: t.Registry, Memory: p.Engines.Memory,
	})
	catalogv1.RegisterReaderServiceServer(s, reader.Server{Reader: r})
	s.OnStop(r.EndChanges)
	p.Engines.AddCheck("events", r.Ping)
	return r, []daemon.Part{
		{Name: "view", Run: r.Projector.Run},
		{Name: "index", Run: r.Indexer.Run},
		{Name: "metrics", Run: r.RunMetrics},
		{Name: "verify", Run: func(ctx context.Context) error { return r.Auditor.Run(ctx, c.VerifyInterval) }},
	}
}

// Gateway returns the parts that follow the events and serve HTTP at address, and the
// address with the port that was chosen. Readiness includes that the gateway follows
// the events, without which it cannot report the outcome of writes.
func (p *Process) Gateway(cfg gateway.Config, log gateway.Log, reader, writer *grpc.ClientConn, address string) ([]daemon.Part, net.Addr, error) {
	t := p.Telemetry
	l, err := daemon.Listen(address)
	if err != nil {
		return nil, nil, err
	}
	p.addresses = append(p.addresses, slog.String("http", l.Addr().String()))
	g := gateway.New(cfg, gateway.Dependencies{
		Log: log, Reader: catalogv1.NewReaderServiceClient(reader), Writer: catalogv1.NewWriterServiceClient(writer),
		Room: p.Engines.Room, Logger: t.Log, Now: time.Now, Metrics: t.Registry, Memory: p.Engines.Memory,
	})
	h, err := g.Handler(web.Pages())
	if err != nil {
		return nil, nil, err
	}
	p.Engines.AddCheck("outcomes", g.Ping)
	return []daemon.Part{
		{Name: "outcomes", Run: g.Run},
		daemon.Serve("http", l, g.Server(h, daemon.AllowedHosts(l.Addr(), cfg.Hosts))),
	}, l.Addr(), nil
}
