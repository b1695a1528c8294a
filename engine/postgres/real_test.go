//go:build real

package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/engine/enginetest"
	"catalog/engine/postgres"
	"catalog/eventlog"
)

// schema answers the address of an empty schema, dropped at the end of the
// test.
func schema(t *testing.T) string {
	t.Helper()
	server := os.Getenv("CATALOG_TEST_POSTGRES_URL")
	if server == "" {
		t.Fatal("set CATALOG_TEST_POSTGRES_URL to the address of a PostgreSQL server")
	}
	conn, err := pgx.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	name := "test_" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "DROP SCHEMA "+name+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// migrated answers the address of a schema with empty tables.
func migrated(t *testing.T) string {
	t.Helper()
	url := schema(t)
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	return url
}

// open answers the store at the address.
func open(t *testing.T, c postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	enginetest.TestStore(t, func(t *testing.T) enginetest.Store { return open(t, postgres.Config{URL: migrated(t)}) })
}

func TestSeveralMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := schema(t)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s := open(t, postgres.Config{URL: url})
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpenAsksForMigrations(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), postgres.Config{URL: schema(t)})
	if err == nil || !strings.Contains(err.Error(), "run catalog migrate") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Open = %v; want one line that says what to run", err)
	}
}

// connect answers a connection of the test's own.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// until waits for the condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

// claim prepares one shard and claims it.
func claim(t *testing.T, s *postgres.Store) eventlog.ShardState {
	t.Helper()
	if err := s.InitShards(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	st, err := s.Claim(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// batch is the next batch of a shard: one command that makes a product with
// that SKU.
func batch(st eventlog.ShardState, sku string) eventlog.Batch {
	d := catalog.ProductData{
		SKU: sku, Name: "Chair", Category: "Furniture/Chairs", Tags: []string{"oak", "a,b"}, Attributes: map[string]string{"width": "80"},
		Price: catalog.Money{Decimal: catalog.Decimal{Units: 149, Nanos: 900_000_000}, Currency: "EUR"},
	}
	id := catalog.DerivedID(sku)
	return eventlog.Batch{
		Shard: st.Shard, Epoch: st.Epoch, From: st.Offset, To: st.Offset + 1, NextSeq: st.NextSeq, NextDeadLetter: st.NextDeadLetter,
		Commands: []catalog.Command{{ID: id, Product: id, Op: catalog.CreateProduct{Data: d}, AcceptedAt: time.UnixMicro(0).UTC()}},
	}
}

func TestAnOperatorReadsProductsWithSQL(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	s := open(t, postgres.Config{URL: url})
	if _, err := s.Settle(t.Context(), batch(claim(t, s), "A-1"), time.Now()); err != nil {
		t.Fatal(err)
	}
	var row string
	err := connect(t, url).QueryRow(t.Context(), `
		SELECT concat_ws(' ', sku, name, price, currency, category, tags[2], attributes->>'width', kind)
		FROM products JOIN journal ON journal.product = products.id AND journal.version = products.version
		WHERE price > 149.89`).Scan(&row)
	if want := "A-1 Chair 149.90 EUR Furniture/Chairs a,b 80 created"; err != nil || row != want {
		t.Errorf("the row is %q, %v; want %q", row, err, want)
	}
}

func TestASKUTakenAfterItWasReadAsFreeIsRefused(t *testing.T) {
	t.Parallel()
	url, metrics := migrated(t), prometheus.NewPedanticRegistry()
	s := open(t, postgres.Config{URL: url, Metrics: metrics})
	st := claim(t, s)

	// Another transaction takes the SKU and has not yet committed.
	conn := connect(t, url)
	other, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `
		INSERT INTO products VALUES (gen_random_uuid(), 1, false, 'A-1', 'Stool', '', 1, 'EUR', '', '{}', '{}', now(), now())`); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		events []catalog.Event
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		events, err := s.Settle(t.Context(), batch(st, "A-1"), time.Now())
		answers <- answer{events, err}
	}()
	until(t, "Settle waits for the other transaction", func() bool {
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted AND $1 = ANY(pg_blocking_pids(pid))",
			conn.PgConn().PID()).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 0
	})
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := <-answers
	if a.err != nil || len(a.events) != 1 || !errors.Is(a.events[0].Refusal, catalog.ErrSKUTaken) {
		t.Errorf("Settle = %+v, %v; want the SKU taken", a.events, a.err)
	}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var repeats float64
	for _, f := range families {
		if f.GetName() == "catalog_postgres_repeats_total" {
			repeats = f.Metric[0].GetCounter().GetValue()
		}
	}
	if repeats != 1 || len(families) != 4 {
		t.Errorf("%v repeats are counted, and %d metrics; want 1 and 4", repeats, len(families))
	}
}

func TestAnOwnerThatHangsInABatchDoesNotKeepItsShard(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	s := open(t, postgres.Config{URL: url})
	claim(t, s)
	hung := connect(t, url+"&idle_in_transaction_session_timeout=200ms")
	if _, err := hung.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	if _, err := hung.Exec(t.Context(), "SELECT * FROM shards FOR NO KEY UPDATE"); err != nil {
		t.Fatal(err)
	}
	if st, err := s.Claim(t.Context(), 0); err != nil || st.Epoch != 2 {
		t.Errorf("Claim = %+v, %v", st, err)
	}
}

// line is a TCP line to a server that can be cut.
type line struct {
	listener net.Listener
	server   string
	armed    atomic.Int32 // messages of the client still to pass before the line is cut; 0 for never
}

func newLine(t *testing.T, server string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{listener: listener, server: server}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { l.join(client) })
		}
	})
	t.Cleanup(func() { listener.Close(); wg.Wait() })
	return l
}

// join copies both ways until one end is closed or the line is cut. What the
// client sent before has then reached the server; no answer comes back.
func (l *line) join(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		return
	}
	defer server.Close()
	answered := make(chan struct{})
	var cut atomic.Bool
	go func() {
		defer close(answered)
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			if err != nil {
				client.Close()
				return
			}
			if !cut.Load() {
				client.Write(buffer[:n])
			}
		}
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			break
		}
		last := l.armed.Load() > 0 && l.armed.Add(-1) == 0
		if last {
			cut.Store(true)
		}
		server.Write(buffer[:n])
		if last {
			client.Close()
			server.(*net.TCPConn).CloseWrite() // the server works on what it has, then ends
			break
		}
	}
	if !cut.Load() {
		server.Close()
	}
	<-answered
}

func TestACommitWhoseAnswerIsLostIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	direct := migrated(t)
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	l := newLine(t, u.Host)
	u.Host = l.listener.Addr().String()
	s, witness := open(t, postgres.Config{URL: u.String(), MaxConns: 1}), open(t, postgres.Config{URL: direct})
	st := claim(t, s)
	settled := func(sku string) error { // and what must hold of the batch after it
		b := batch(st, sku)
		_, err := s.Settle(t.Context(), b, time.Now())
		got, e := witness.Claim(t.Context(), 0) // when the server has ended the transaction
		if e != nil {
			t.Fatal(e)
		}
		whole := got.Offset == b.To
		if nothing := got.Offset == b.From; !whole && !nothing || got.NextSeq-st.NextSeq != got.Offset-b.From {
			t.Fatalf("the shard is stored as %+v after a batch from %+v", got, st)
		}
		if err == nil && !whole {
			t.Fatal("Settle answered no error, and the batch is not stored")
		}
		events, e := witness.Journal(t.Context(), 0, st.NextSeq, st.NextSeq, 1)
		_, p := witness.Product(t.Context(), catalog.DerivedID(sku))
		if e != nil || (len(events) == 1) != whole || (p == nil) != whole {
			t.Fatalf("journal %v, %v and product %v, but whole = %v", events, e, p, whole)
		}
		st = got
		return err
	}
	if err := settled("A"); err != nil { // prepares the statements: two messages are left of a batch
		t.Fatal(err)
	}
	for _, messages := range []int32{1, 2} {
		l.armed.Store(messages)
		if err := settled(rand.Text()); !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("Settle over a line that is cut = %v; want ErrUnavailable", err)
		}
		if err := settled(rand.Text()); err != nil {
			t.Errorf("Settle on the next line = %v", err)
		}
	}
}
