// Package service puts a service together from its engines: the same parts
// for the process that is one service and for `catalog up`, which is all three.
package service

import (
	"context"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	catalogv1 "catalog/api/catalog/v1"
	"catalog/gateway"
	"catalog/internal/breaker"
	"catalog/internal/daemon"
	"catalog/internal/journal"
	"catalog/internal/rpc"
	"catalog/internal/telemetry"
	"catalog/reader"
	"catalog/web"
	"catalog/writer"
)

// Writer works on commands, and answers calls to the writer on s.
func Writer(t *telemetry.Telemetry, store writer.Store, log writer.Log, s *rpc.Server) daemon.Part {
	catalogv1.RegisterWriterServiceServer(s, writer.Server{Store: store, Breaker: breaker.New("store", t.Registry), Log: log})
	return daemon.Part{Name: "writer", Run: writer.New(writer.Deps{Store: store, Log: log, Logger: t.Log, Now: time.Now, Registry: t.Registry}).Run}
}

// Reader keeps view, cache and index, and answers calls to the reader on s.
// cache may be nil. Every so often all is verified. The check says when it has caught up with the events.
func Reader(t *telemetry.Telemetry, view reader.View, cache reader.Cache, index reader.Index, log reader.Log, writer *grpc.ClientConn, verify time.Duration, s *rpc.Server) ([]daemon.Part, daemon.Check) {
	r := reader.New(view, cache, index, log, journal.Journal{Client: catalogv1.NewWriterServiceClient(writer)}, t.Log, time.Now, t.Registry)
	catalogv1.RegisterReaderServiceServer(s, reader.Server{Reader: r})
	s.OnStop(r.EndChanges)
	return []daemon.Part{
		{Name: "view", Run: r.RunView},
		{Name: "index", Run: r.RunIndex},
		{Name: "verify", Run: func(ctx context.Context) error { return r.RunVerify(ctx, verify) }},
	}, daemon.Check{Name: "events", Ping: r.Ping}
}

// GRPC answers the calls to s on l. Parts stop from the last to the first: who
// still calls s while it stops comes behind it.
func GRPC(s *rpc.Server, l net.Listener) daemon.Part {
	return daemon.Part{Name: "grpc", Run: func(ctx context.Context) error { return s.Run(ctx, l) }}
}

// Gateway answers HTTP on l. The check says when it can take writes.
func Gateway(cfg gateway.Config, t *telemetry.Telemetry, log gateway.Log, reader, writer *grpc.ClientConn, l net.Listener) ([]daemon.Part, daemon.Check, error) {
	g := gateway.New(cfg, log, catalogv1.NewReaderServiceClient(reader), catalogv1.NewWriterServiceClient(writer), t.Log, time.Now, t.Registry)
	h, err := g.Handler(web.Pages())
	if err != nil {
		return nil, daemon.Check{}, err
	}
	return []daemon.Part{
		{Name: "answers", Run: g.Run},
		daemon.Serve("http", l, g.Server(h)),
	}, daemon.Check{Name: "answers", Ping: g.Ping}, nil
}

// Admin answers the admin port on l.
func Admin(t *telemetry.Telemetry, l net.Listener, checks ...daemon.Check) daemon.Part {
	return daemon.Serve("admin", l, &http.Server{Handler: daemon.Admin(t.Metrics(), checks...), ReadHeaderTimeout: 5 * time.Second})
}
