// Package gateway is the door of the system: HTTP comes in, commands go to the
// log, queries to the reader.
//
// It promises: a command is answered as accepted only when the log has stored
// it; the same request with the same Idempotency-Key has one effect, through
// whichever gateway it comes; and no input makes an answer of 5xx.
package gateway

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"
	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
	"catalog/internal/breaker"
	"catalog/internal/changefeed"
	"catalog/internal/journal"
)

// Log is where commands go and where it is seen what became of them. Package
// kafka implements it.
type Log interface {
	// Send appends the commands and waits until all are stored. Its errors are
	// ErrUnavailable, when none was taken, and ErrUnknown.
	SendCommands(ctx context.Context, commands ...catalog.Command) error
	// Follow works on all shards of the events until ctx ends.
	ConsumeAllShards(ctx context.Context, name string, c eventlog.Consumer[catalog.Event]) error
	// EventBounds answers, by shard, the offset of the first event that is there
	// and the offset that the next one will have.
	EventOffsets(ctx context.Context) (starts, ends []int64, err error)
}

// Config says what a gateway may use.
type Config struct {
	Near      int64         // bytes of products that are read often; 0 for none
	Consumers int           // of changes, at once
	Backlog   time.Duration // that what was accepted may wait to be settled, before no more is; 0 for as long as it takes
	Writes    int           // that are being answered at once, at most; 0 for 1000
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.Int64Var(&c.Near, "near", 64<<20, "`bytes` of products that are read often, kept in the gateway; 0 for none")
	fs.IntVar(&c.Consumers, "changes.consumers", 1_000, "`number` of clients that may follow changes at once")
	fs.DurationVar(&c.Backlog, "backlog", 30*time.Second, "`time` that what was accepted may wait for the writers, before no more is accepted until they have caught up; 0 for as long as it takes")
	fs.IntVar(&c.Writes, "writes", defaultWrites, "`number` of writes that are answered at once; more are told to come again")
}

// defaultWrites is far more than the writers settle while a client waits, so
// that more at once does not mean more done.
const defaultWrites = 1000

// Gateway answers HTTP. It implements api.ServerInterface.
type Gateway struct {
	log      Log
	reader   catalogv1.ReaderServiceClient
	writer   catalogv1.WriterServiceClient
	logger   *slog.Logger
	now      func() time.Time
	metrics  *metrics
	near     *near
	together *together
	feed     *changefeed.Feed
	answers  *answers
	backlog  *backlog
	sending  *breaker.Breaker // in front of the log
	writes   chan struct{}    // has one for each write that is being answered
	imports  chan struct{}

	stopping context.Context // ends when the server is shut down
	stop     context.CancelFunc
}

// New makes a gateway. Metrics go to reg.
func New(cfg Config, log Log, reader catalogv1.ReaderServiceClient, writer catalogv1.WriterServiceClient, logger *slog.Logger, now func() time.Time, reg prometheus.Registerer) *Gateway {
	near, backlog := newNear(cfg.Near, reg), newBacklog(cfg.Backlog, now, reg)
	changes := changefeed.New(cfg.Consumers, journal.Journal{Client: writer}, changeData, prometheus.WrapRegistererWith(prometheus.Labels{"service": "gateway"}, reg))
	if cfg.Writes <= 0 {
		cfg.Writes = defaultWrites
	}
	stopping, stop := context.WithCancel(context.Background())
	return &Gateway{
		stopping: stopping, stop: stop,
		log: log, reader: reader, writer: writer, logger: logger, now: now,
		metrics: newMetrics(reg), near: near, together: &together{reader: reader}, feed: changes, answers: newAnswers(log, near, changes, backlog), backlog: backlog,
		sending: breaker.New("log", reg), writes: make(chan struct{}, cfg.Writes), imports: make(chan struct{}, maxImports),
	}
}

// Run follows the events, which settle the requests that wait, until ctx ends.
func (g *Gateway) Run(ctx context.Context) error {
	return g.log.ConsumeAllShards(ctx, "gateway", g.answers)
}

// Ping is an error until the gateway follows the events of all shards.
func (g *Gateway) Ping(context.Context) error { return g.answers.ready() }

// Handler answers the API, its description at /openapi.json, the pages to try
// it at /docs, and pages by their paths.
func (g *Gateway) Handler(pages map[string]http.Handler) (http.Handler, error) {
	contract, err := readContract(api.OpenAPI)
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.Logger = g.logger
	e.HTTPErrorHandler = g.answerProblem
	e.Use(g.observe, contract.check)
	api.RegisterHandlers(e, g)
	e.GET("/openapi.json", func(c *echo.Context) error { return c.JSONBlob(http.StatusOK, contract.json) })
	docs := docs()
	e.GET("/docs", echo.WrapHandler(docs))
	e.GET("/docs/*", echo.WrapHandler(docs))
	for path, page := range pages {
		e.GET(path, echo.WrapHandler(page))
	}
	return e, nil
}

// Server is an HTTP server with limits that keep a slow or greedy client from
// harming others. Answers have their own time-outs, since an import may take
// long. When it is shut down, who follows changes is sent away, an import ends,
// and who waits for a command does not wait much longer.
func (g *Gateway) Server(h http.Handler) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(g.logger.Handler(), slog.LevelDebug),
	}
	s.RegisterOnShutdown(g.feed.Close)
	s.RegisterOnShutdown(g.stop)
	return s
}

// newID is a UUID of version 7: ids made later sort later.
func newID() catalog.ID { return catalog.ID(uuid.Must(uuid.NewV7())) }
