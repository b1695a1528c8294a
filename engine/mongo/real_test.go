//go:build real

package mongo_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"catalog"
	"catalog/engine/enginetest"
	"catalog/engine/mongo"
	"catalog/eventlog"
	"catalog/reader/projection"
)

// onServers runs a test on MongoDB, or FerretDB in its place, and on mongo-java-server. The client is
// for the test itself.
func onServers(t *testing.T, test func(t *testing.T, url string, client *driver.Client)) {
	for name, variable := range map[string]string{"mongo": mongoURL, "mongo-java-server": "CATALOG_TEST_MONGO_JAVA_URL"} {
		t.Run(name, func(t *testing.T) {
			url, client := connect(t, variable)
			test(t, url, client)
		})
	}
}

// mongoURL is the variable with the URL of MongoDB or FerretDB.
const mongoURL = "CATALOG_TEST_MONGO_URL"

// connect returns the URL in the variable and a client.
func connect(t testing.TB, variable string) (string, *driver.Client) {
	t.Helper()
	url := os.Getenv(variable)
	if url == "" {
		t.Fatalf("%s is not set; make engines-up starts the engines", variable)
	}
	client, err := driver.Connect(options.Client().ApplyURI(url))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Disconnect(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return url, client
}

// open opens a view in a new database. The database is dropped at the end of the
// test.
func open(t testing.TB, url string, client *driver.Client) *mongo.View {
	t.Helper()
	return openAt(t, url, client, "test_"+strings.ToLower(rand.Text()[:12]))
}

func openAt(t testing.TB, url string, client *driver.Client, database string) *mongo.View {
	t.Helper()
	v, err := mongo.Open(t.Context(), mongo.Config{URL: url, Database: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(v.Close(ctx), client.Database(database).Drop(ctx)); err != nil {
			t.Error(err)
		}
	})
	return v
}

// Two readers that insert the same new products both succeed.
func TestView_concurrentInserts(t *testing.T) { onServers(t, testConcurrentInserts) }

func testConcurrentInserts(t *testing.T, url string, client *driver.Client) {
	database := "test_" + strings.ToLower(rand.Text()[:12])
	first, second := openAt(t, url, client, database), openAt(t, url, client, database)
	var products []catalog.Product
	for i := range 400 {
		products = append(products, catalog.Product{ID: catalog.DerivedID(fmt.Sprint(i)), Version: 1})
	}
	var both errgroup.Group
	for _, v := range []*mongo.View{first, second} {
		both.Go(func() error { return v.Apply(t.Context(), products, nil) })
	}
	if err := both.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, p := range products {
		if got, err := first.Product(t.Context(), p.ID); err != nil || got.Version != 1 {
			t.Fatalf("Product %s = version %d, %v; want 1", p.ID, got.Version, err)
		}
	}
}

func TestView(t *testing.T) { onServers(t, testView) }

func testView(t *testing.T, url string, client *driver.Client) {
	info, err := client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "buildInfo", Value: 1}}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	var lacks []enginetest.Lack
	if _, err := info.LookupErr("ferretdbVersion"); err == nil {
		lacks = append(lacks, enginetest.NoRaces)
	}
	enginetest.TestView(t, func(t *testing.T) projection.View { return open(t, url, client) }, lacks...)
}

// While the connection is cut, calls return ErrUnavailable; when it is back, they
// succeed.
func TestView_outage(t *testing.T) { onServers(t, testOutage) }

func testOutage(t *testing.T, direct string, client *driver.Client) {
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	server := newProxy(t, "127.0.0.1:0", u.Host)
	u.Host = server.Addr().String()
	u.RawQuery = "directConnection=true"
	v := open(t, u.String(), client)
	p := catalog.Product{ID: catalog.DerivedID("p"), Version: 1}
	if err := v.Apply(t.Context(), nil, []catalog.Product{p}); err != nil {
		t.Fatal(err)
	}
	var calls errgroup.Group // in progress when the connection is cut
	for i := range 30 {
		calls.Go(func() (err error) {
			for err == nil {
				if _, err = v.Product(t.Context(), p.ID); i%2 == 0 {
					err = v.Apply(t.Context(), nil, []catalog.Product{p})
				}
			}
			if !errors.Is(err, catalog.ErrUnavailable) {
				return err
			}
			return nil
		})
	}
	server.cut()
	if err := calls.Wait(); err != nil {
		t.Errorf("call during the cut = %v; want ErrUnavailable", err)
	}
	if _, err := v.Product(t.Context(), p.ID); !errors.Is(err, catalog.ErrUnavailable) {
		t.Errorf("Product = %v; want ErrUnavailable", err)
	}
	if err := v.Apply(t.Context(), nil, []catalog.Product{p}); !errors.Is(err, catalog.ErrUnavailable) {
		t.Errorf("Apply = %v; want ErrUnavailable", err)
	}
	newProxy(t, u.Host, server.server)
	if got, err := v.Product(t.Context(), p.ID); err != nil || got.Version != 1 {
		t.Errorf("Product after the reconnect = version %d, %v; want 1", got.Version, err)
	}
}

// proxy is a TCP proxy to a server.
type proxy struct {
	net.Listener
	server string
	wg     sync.WaitGroup
	mu     sync.Mutex
	open   []net.Conn
}

func newProxy(t testing.TB, address, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	n := &proxy{Listener: l, server: server}
	n.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", server)
			if err != nil {
				c.Close()
				continue
			}
			n.mu.Lock()
			n.open = append(n.open, c, s)
			n.mu.Unlock()
			for _, pair := range [][2]net.Conn{{c, s}, {s, c}} {
				n.wg.Go(func() {
					io.Copy(pair[0], pair[1])
					pair[0].Close()
				})
			}
		}
	})
	t.Cleanup(n.cut)
	return n
}

// cut closes all connections and the listener.
func (n *proxy) cut() {
	n.Close()
	n.mu.Lock()
	for _, c := range n.open {
		c.Close()
	}
	n.mu.Unlock()
	n.wg.Wait()
}

// A reader takes shards over from another one, which ends, while a third one goes on.
func TestView_checkpointsOfSeveralReaders(t *testing.T) {
	onServers(t, testCheckpointsOfSeveralReaders)
}

func testCheckpointsOfSeveralReaders(t *testing.T, url string, client *driver.Client) {
	database := "test_" + strings.ToLower(rand.Text()[:12])
	save := func(v *mongo.View, shard int32, seq, offset int64) {
		t.Helper()
		if err := v.SaveCheckpoints(t.Context(), []eventlog.Checkpoint{{Position: catalog.Position{Shard: shard, Seq: seq}, Offset: offset}}); err != nil {
			t.Fatal(err)
		}
	}
	has := func(v *mongo.View, shard int32, seq, offset int64) {
		t.Helper()
		if p := enginetest.Checkpoint(t, v, shard); p.Seq != seq || p.Offset != offset {
			t.Errorf("shard %d is at seq %d, offset %d; want %d, %d", shard, p.Seq, p.Offset, seq, offset)
		}
	}
	first, second, third := openAt(t, url, client, database), openAt(t, url, client, database), openAt(t, url, client, database)
	save(first, 0, 10, 20)
	save(first, 1, 10, 20)
	save(third, 2, 5, 5)
	has(second, 0, 10, 20)
	save(second, 0, 10, 3) // the topic was recreated
	save(second, 1, 11, 21)
	save(first, 1, 10, 22) // the former owner has not noticed
	for _, v := range []*mongo.View{first, second, third, openAt(t, url, client, database)} {
		has(v, 0, 10, 3)
		has(v, 1, 11, 21)
		has(v, 2, 5, 5)
	}

	documents := client.Database(database).Collection("process_checkpoints")
	if _, err := documents.UpdateMany(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "savedAt", Value: time.Now().Add(-time.Hour)}}}}); err != nil {
		t.Fatal(err)
	}
	save(third, 2, 6, 6) // the third reader continues
	fourth := openAt(t, url, client, database)
	has(fourth, 0, 10, 3)
	save(fourth, 3, 1, 1)
	if n, err := documents.CountDocuments(t.Context(), bson.D{}); err != nil || n != 2 {
		t.Errorf("%d documents of checkpoints, %v; want those of the third and fourth reader", n, err)
	}
	save(second, 1, 12, 22) // the second reader was idle, and its document was removed
	for _, v := range []*mongo.View{third, fourth, openAt(t, url, client, database)} {
		has(v, 0, 10, 3)
		has(v, 1, 12, 22)
		has(v, 2, 6, 6)
		has(v, 3, 1, 1)
	}
}
