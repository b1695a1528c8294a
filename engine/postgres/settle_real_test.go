//go:build real

package postgres_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/engine/postgres"
	"catalog/eventlog"
)

// A SKU that another shard takes after Settle read it as free is refused, and the
// transaction is repeated once.
func TestSettle_skuRace(t *testing.T) {
	t.Parallel()
	url, metrics := migrated(t), prometheus.NewPedanticRegistry()
	s := open(t, postgres.Config{URL: url, Metrics: metrics})
	st := claim(t, s)

	// Another transaction takes the SKU and has not committed yet.
	conn := connect(t, url)
	other, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `
		INSERT INTO products (id, shard, version, deleted, sku, sku_key, data, past_prices, created_at, updated_at)
		VALUES (gen_random_uuid(), 1, 1, false, 'a-1', 'a-1', '{}', '', now(), now())`); err != nil {
		t.Fatal(err)
	}
	type result struct {
		events []catalog.Event
		err    error
	}
	results := make(chan result, 1)
	go func() {
		events, _, err := settle(t.Context(), s, batch(st, "A-1"))
		results <- result{events, err}
	}()
	waitUntil(t, "Settle waits for the other transaction", func() bool {
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
	got := <-results
	if got.err != nil || len(got.events) != 1 || !errors.Is(got.events[0].Refusal, catalog.ErrSKUTaken) {
		t.Errorf("Settle = %+v, %v; want one refusal with ErrSKUTaken", got.events, got.err)
	}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var retries float64
	for _, f := range families {
		if f.GetName() == "catalog_writer_settle_retries_total" {
			retries = f.Metric[0].GetCounter().GetValue()
		}
	}
	if retries != 1 {
		t.Errorf("catalog_writer_settle_retries_total = %v; want 1", retries)
	}
}

// A group does not wait for a shard that another transaction has locked, such as one
// of a former owner that hangs.
func TestSettle_lockedShard(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	s := open(t, postgres.Config{URL: url})
	if err := s.InitShards(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	var g eventlog.Group
	for shard := range int32(3) {
		st, err := s.Claim(t.Context(), shard)
		if err != nil {
			t.Fatal(err)
		}
		g = append(g, batch(st, fmt.Sprint("SKU-", shard)))
	}
	hung := connect(t, url)
	tx, err := hung.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT * FROM shards WHERE shard = 1 FOR NO KEY UPDATE"); err != nil {
		t.Fatal(err)
	}
	settled, err := s.Settle(t.Context(), g, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, eventlog.ErrLeftOut, nil} {
		if !errors.Is(settled[i].Err, want) || (want == nil) != (len(settled[i].Events) == 1) {
			t.Errorf("shard %d: %d events, %v; want %v", i, len(settled[i].Events), settled[i].Err, want)
		}
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if events, _, err := settle(t.Context(), s, g[1]); err != nil || len(events) != 1 {
		t.Errorf("Settle of the batch alone = %d events, %v; want 1", len(events), err)
	}
}

// An owner that hangs in a batch does not block the next owner: the server ends its
// transaction.
func TestClaim_hungOwner(t *testing.T) {
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
		t.Errorf("Claim = %+v, %v; want epoch 2", st, err)
	}
}

// proxy is a TCP proxy to a server. It can cut a connection after a number of
// messages of the client.
type proxy struct {
	listener net.Listener
	server   string
	armed    atomic.Int32 // client messages to forward before the connection is cut; 0 means never
}

func newProxy(t testing.TB, server string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &proxy{listener: listener, server: server}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { l.forward(client) })
		}
	})
	t.Cleanup(func() { listener.Close(); wg.Wait() })
	return l
}

// forward copies in both directions until one end closes or the connection is cut.
// A cut happens after the server has received the last message of the client; its
// reply is dropped.
func (l *proxy) forward(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		return
	}
	defer server.Close()
	drained := make(chan struct{})
	var cut atomic.Bool
	go func() {
		defer close(drained)
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
			server.(*net.TCPConn).CloseWrite() // the server executes the message, then sees the end
			break
		}
	}
	if !cut.Load() {
		server.Close()
	}
	<-drained
}

// When the reply to a commit is lost, the batch is stored completely or not at all.
func TestSettle_lostReply(t *testing.T) {
	t.Parallel()
	direct := migrated(t)
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	l := newProxy(t, u.Host)
	u.Host = l.listener.Addr().String()
	s, witness := open(t, postgres.Config{URL: u.String(), MaxConns: 1}), open(t, postgres.Config{URL: direct})
	st := claim(t, s)
	settle := func(sku string) error {
		b := batch(st, sku)
		_, _, err := settle(t.Context(), s, b)
		got, e := witness.Claim(t.Context(), 0) // waits until the server has ended the transaction
		if e != nil {
			t.Fatal(e)
		}
		whole := got.Offset == b.To
		if nothing := got.Offset == b.From; !whole && !nothing || got.NextSeq-st.NextSeq != got.Offset-b.From {
			t.Fatalf("state = %+v after a batch from %+v; want all of it or none", got, st)
		}
		if err == nil && !whole {
			t.Fatal("Settle = nil, but the batch is not stored")
		}
		events, e := witness.Journal(t.Context(), 0, st.NextSeq, st.NextSeq, 1)
		_, p := witness.Product(t.Context(), catalog.DerivedID(sku))
		if e != nil || (len(events) == 1) != whole || (p == nil) != whole {
			t.Fatalf("journal has %d events, %v; Product = %v; want stored = %v", len(events), e, p, whole)
		}
		st = got
		return err
	}
	if err := settle("A"); err != nil { // prepares the statements: later batches have two messages
		t.Fatal(err)
	}
	for _, messages := range []int32{1, 2} {
		l.armed.Store(messages)
		if err := settle(rand.Text()); !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("Settle over a cut connection = %v; want ErrUnavailable", err)
		}
		if err := settle(rand.Text()); err != nil {
			t.Errorf("Settle on the next connection = %v; want nil", err)
		}
	}
}
