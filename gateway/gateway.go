// Package gateway serves the HTTP API. Writes become commands in the log,
// queries become calls to the reader.
//
// It promises: a command is reported as accepted only after the log has stored
// it; requests with the same Idempotency-Key have one effect, through whichever
// gateway they come; and no input causes a 5xx response. DESIGN.md describes how.
package gateway

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"strings"
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
	"catalog/internal/memory"
)

// Log stores commands and delivers the events that result from them. Package
// kafka implements it.
type Log interface {
	// SendCommands appends the commands and waits until all are stored. It returns
	// ErrUnavailable when none is stored, and ErrOutcomeUnknown when some may be.
	SendCommands(ctx context.Context, commands ...catalog.Command) error
	// ConsumeAllShards delivers the events of all shards to c until ctx ends.
	ConsumeAllShards(ctx context.Context, name string, c eventlog.Consumer[catalog.Event]) error
	// EventOffsets returns, by shard, the offset of the first stored event and the
	// offset of the next one.
	EventOffsets(ctx context.Context) (starts, ends []int64, err error)
	// CommandEnds returns, by shard, the offset that the next command gets.
	CommandEnds(ctx context.Context) ([]int64, error)
	// Writable returns an error unless the log can store commands of all shards. It
	// stores nothing.
	Writable(ctx context.Context) error
}

// Config holds the settings of a gateway.
type Config struct {
	// CacheSize is the memory for products that are read often, in bytes. Raise it
	// when the hit rate is low. The flag's default is 64 MiB; 0 disables the cache.
	CacheSize int64
	// MaxSubscribers is how many clients may follow changes at once. Each holds a
	// connection and a few kilobytes. The flag's default is 1000; 0 allows none.
	MaxSubscribers int
	// MaxBacklogAge is how long accepted commands may wait for the writers before
	// the gateway rejects further writes. Raise it to accept writes during longer
	// outages of the store. The flag's default is 30 s; 0 means no limit.
	MaxBacklogAge time.Duration
	// Hosts are the names, separated by commas, under which clients reach the gateway. A
	// request with another Host is refused. "" means every name, or, on a loopback
	// address, only localhost and addresses.
	Hosts string
	// MaxConcurrentWrites is how many writes are handled at once; the gateway
	// rejects more with 429. 0 means the default of 1000.
	MaxConcurrentWrites int
	// MaxConcurrentQueries is how many lists, how many suggestions and how many histories
	// are handled at once. Set it to the number of CPUs where readers are in the same
	// process. 0 means 8, since in a process of its own a gateway mostly waits for the
	// readers.
	MaxConcurrentQueries int
	// MaxConcurrentWindows is how many windows of imports are settled at once; others wait.
	// Set it to the number of CPUs less one where writer and readers are in the same
	// process: the rows of a window cost each of them CPU, and requests of other kinds then
	// find a free one. 0 means 4.
	MaxConcurrentWindows int
	// ProgressiveReductions makes lowestPrice30d the lowest price of the 30 days before the
	// first of reductions that followed one another without an increase, instead of before
	// the last one. Set it where the law allows that (Directive 98/6/EC, Article 6a,
	// paragraph 5), and alike on all gateways: clients may keep responses by their ETag.
	ProgressiveReductions bool
	// LogAccess logs a line for each request: method, route, status, duration, bytes of
	// the response and trace id. Bodies, queries and headers are never logged. Without
	// it, requests are logged at the level debug.
	LogAccess bool
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.Int64Var(&c.CacheSize, "cache.size", 64<<20, "`bytes` of memory for products that are read often; 0 disables the cache")
	fs.IntVar(&c.MaxSubscribers, "changes.max-subscribers", 1_000, "`number` of clients that may follow changes at once")
	fs.DurationVar(&c.MaxBacklogAge, "max-backlog-age", 30*time.Second, "`time` that accepted commands may wait for the writers before further writes are rejected with 503; 0 for no limit")
	fs.IntVar(&c.MaxConcurrentWrites, "max-concurrent-writes", defaultMaxWrites, "`number` of writes that are handled at once; more are rejected with 429")
	fs.StringVar(&c.Hosts, "http.hosts", "", "`names` under which clients reach the gateway, comma separated; requests that name another host are refused. The default allows all names, but on a loopback address only localhost and addresses")
	fs.BoolVar(&c.ProgressiveReductions, "progressive-reductions", false, "compare a price that was reduced several times, without an increase between, with the lowest price of the 30 days before the first of these reductions, not before the last one; the same on all gateways")
	fs.BoolVar(&c.LogAccess, "log.access", false, "log a line for each HTTP request: method, route, status, duration, bytes of the response and trace id, never bodies")
}

// Dependencies are the parts that a gateway uses. All but Room and Memory are required.
type Dependencies struct {
	Log     Log
	Reader  catalogv1.ReaderServiceClient
	Writer  catalogv1.WriterServiceClient
	Logger  *slog.Logger
	Now     func() time.Time
	Metrics prometheus.Registerer
	// Room returns an error while a disk has no room for further commands. nil
	// means that there is always room.
	Room   func(context.Context) error
	Memory *memory.Budget // nil means that each share has its limit and no metrics
}

// Gateway serves the HTTP API. It implements api.ServerInterface.
type Gateway struct {
	log     Log
	reader  catalogv1.ReaderServiceClient
	writer  catalogv1.WriterServiceClient
	logger  *slog.Logger
	now     func() time.Time
	metrics *gatewayMetrics

	accessLevel slog.Level // level of the access log
	prior       catalog.PriorPolicy

	cache   *nearCache
	batcher *readBatcher
	feed    *changefeed.Feed
	backlog *backlog
	room    func(context.Context) error
	pending *pendingCommands
	events  *eventFollower

	logBreaker *breaker.Breaker
	shares     shares
	bodies     *memory.Share // large request bodies, until their commands are sent
	rows       *memory.Share // rows of imports, until they are settled
	longRows   *memory.Share // rows of imports that are longer than smallBody
	files      *memory.Share // imports of files
	responses  *memory.Share // large responses, until they are encoded and taken
	failures   failureLog
	allowHost  func(host string) bool // checks the host of a request; set by Server

	stopping context.Context // ends when the server begins to shut down
	stop     context.CancelFunc
}

// New returns a gateway. Start its Run before its Handler receives requests.
func New(cfg Config, d Dependencies) *Gateway {
	if cfg.MaxConcurrentWrites <= 0 {
		cfg.MaxConcurrentWrites = defaultMaxWrites
	}
	if cfg.MaxConcurrentQueries <= 0 {
		cfg.MaxConcurrentQueries = defaultMaxQueries
	}
	if cfg.MaxConcurrentWindows <= 0 {
		cfg.MaxConcurrentWindows = defaultMaxWindows
	}
	prior := catalog.BeforeLastReduction
	if cfg.ProgressiveReductions {
		prior = catalog.BeforeFirstReduction
	}
	responses := d.Memory.Share("gateway.responses", responseBytes)
	g := &Gateway{
		log: d.Log, reader: d.Reader, writer: d.Writer, logger: d.Logger, now: d.Now, metrics: newMetrics(d.Metrics),
		accessLevel: slog.LevelDebug,
		cache:       newNearCache(cfg.CacheSize, d.Metrics),
		prior:       prior,
		feed: changefeed.New(cfg.MaxSubscribers, journal.Journal{Client: d.Writer}, func(e catalog.Event) []byte { return changeData(e, prior) },
			prometheus.WrapRegistererWith(prometheus.Labels{"service": "gateway"}, d.Metrics)),
		batcher:    &readBatcher{reader: d.Reader},
		backlog:    newBacklog(cfg.MaxBacklogAge, d.Now, d.Log.CommandEnds, d.Metrics),
		room:       d.Room,
		pending:    newPendingCommands(responses),
		logBreaker: breaker.New("log", d.Metrics),
		shares:     newShares(cfg, d.Metrics),
		bodies:     d.Memory.Share("gateway.bodies", bodiesBytes),
		rows:       d.Memory.Share("gateway.rows", rowsBytes),
		longRows:   d.Memory.Share("gateway.long-rows", longRowsBytes),
		files:      d.Memory.Share("gateway.files", filesBytes),
		responses:  responses,
		allowHost:  func(string) bool { return true },
	}
	if cfg.LogAccess {
		g.accessLevel = slog.LevelInfo
	}
	g.events = newEventFollower(d.Log, journal.Journal{Client: d.Writer}, d.Logger, g.pending, g.cache, g.feed, g.backlog)
	if g.room == nil {
		g.room = func(context.Context) error { return nil }
	}
	g.stopping, g.stop = context.WithCancel(context.Background())
	return g
}

// Run follows the events of all shards until ctx ends.
func (g *Gateway) Run(ctx context.Context) error {
	return g.log.ConsumeAllShards(ctx, "gateway", g.events)
}

// Ping returns an error until the gateway follows the events of all shards.
func (g *Gateway) Ping(context.Context) error { return g.events.ready() }

// Handler returns the handler of the API, of its description at /openapi.json, of
// the interactive documentation at /docs, to which /swagger leads, and of pages, by
// path.
func (g *Gateway) Handler(pages map[string]http.Handler) (http.Handler, error) {
	contract, err := embeddedContract()
	if err != nil {
		return nil, err
	}
	// HEAD has the headers of GET. An id with escaped characters names the same product.
	e := echo.NewWithConfig(echo.Config{Router: echo.NewRouter(echo.RouterConfig{
		AutoHandleHEAD: true, UnescapePathParamValues: true, OptionsMethodHandler: allowMethods, MethodNotAllowedHandler: refuseMethod,
	})})
	e.Logger = g.logger
	e.HTTPErrorHandler = g.writeProblem
	e.Use(g.observe, g.protect, contract.validate)
	api.RegisterHandlers(e, g)
	e.GET("/openapi.json", func(c *echo.Context) error { return c.JSONBlob(http.StatusOK, contract.json) })
	docs := docs()
	e.GET("/docs", echo.WrapHandler(docs))
	e.GET("/docs/*", echo.WrapHandler(docs))
	e.GET("/swagger/*", func(c *echo.Context) error { return c.Redirect(http.StatusFound, "/docs/") }) // generators for Go put the documentation there
	for path, page := range pages {
		e.GET(path, echo.WrapHandler(page))
	}
	return e, nil
}

// Server returns an HTTP server for h with the limits of limits.go. allowHost reports
// whether a request may name a host. When the server shuts down, change streams and imports end, and requests
// that wait for a command wait at most shutdownWait longer.
func (g *Gateway) Server(h http.Handler, allowHost func(host string) bool) *http.Server {
	g.allowHost = allowHost
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		WriteTimeout:      writeTimeout, // imports and change streams extend it while they make progress
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(g.logger.Handler(), slog.LevelDebug),
	}
	s.RegisterOnShutdown(g.feed.Close)
	s.RegisterOnShutdown(g.stop)
	return s
}

// allowMethods handles OPTIONS: it names the methods of the path.
func allowMethods(c *echo.Context) error {
	setAllow(c)
	return c.NoContent(http.StatusNoContent)
}

// refuseMethod refuses a method that the path does not have.
func refuseMethod(c *echo.Context) error {
	setAllow(c)
	return echo.ErrMethodNotAllowed
}

func setAllow(c *echo.Context) {
	allow, _ := c.Get(echo.ContextKeyHeaderAllow).(string)
	c.Response().Header().Set("Allow", strings.Replace(allow, http.MethodGet, "GET, HEAD", 1)) // the router has no route for HEAD
}

// newID returns a UUID of version 7: later ids sort after earlier ones.
func newID() catalog.ID { return catalog.ID(uuid.Must(uuid.NewV7())) }
