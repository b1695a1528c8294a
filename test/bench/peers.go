package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v5"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"catalog/engine/enginetest/freeport"
)

// peers lists the servers that the catalogue is compared with. Each runs as a process
// of its own: bench -peer NAME -address ADDRESS -database DATABASE.
var peers = map[string]func(ctx context.Context, database string) (http.Handler, error){
	"bare": bare, "postgres": plainOnPostgres, "sqlite": plainOnSQLite,
}

func servePeer(name, address, database string) error {
	create, ok := peers[name]
	if !ok {
		return fmt.Errorf("there is no peer %q", name)
	}
	handler, err := create(context.Background(), database)
	if err != nil {
		return fmt.Errorf("peer %s: %w", name, err)
	}
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: time.Minute}
	return server.ListenAndServe()
}

// startPeer starts a peer and returns it with its address.
func startPeer(name, database, input string) (process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return process{}, "", err
	}
	address := freeport.Address()
	p := process{name, exec.Command(self, "-peer", name, "-address", address, "-database", database)}
	p.cmd.Stdin, p.cmd.Stderr = strings.NewReader(input), os.Stderr
	if err := p.cmd.Start(); err != nil {
		return process{}, "", err
	}
	if err := waitFor("http://" + address + "/ready"); err != nil {
		p.kill()
		return process{}, "", fmt.Errorf("peer %s: %w", name, err)
	}
	return p, address, nil
}

// newEcho returns a server that is ready.
func newEcho() *echo.Echo {
	e := echo.New()
	e.GET("/ready", func(c *echo.Context) error { return c.NoContent(http.StatusOK) })
	return e
}

// bare returns the bytes of the standard input for every product.
func bare(context.Context, string) (http.Handler, error) {
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		return nil, err
	}
	e := newEcho()
	e.GET("/api/v1/products/:id", func(c *echo.Context) error {
		c.Response().Header().Set("ETag", `"1"`)
		return c.Blob(http.StatusOK, "application/json", body)
	})
	return e, nil
}

// The tables of a plain CRUD server: the product, and a journal of its changes.
const (
	plainProducts = `CREATE TABLE products (id text PRIMARY KEY, sku text UNIQUE, version bigint NOT NULL, data %s NOT NULL)`
	plainJournal  = `CREATE TABLE journal (id text PRIMARY KEY, product text NOT NULL, version bigint NOT NULL, at text NOT NULL, data %s NOT NULL)`
	insertProduct = `INSERT INTO products (id, sku, version, data) VALUES ($1, $2, 1, $3)`
	insertJournal = `INSERT INTO journal (id, product, version, at, data) VALUES ($1, $2, 1, $3, $4)`
)

// plainOnPostgres is a plain CRUD server: each POST is a transaction that stores a
// product and a row of the journal. It has no log, no second store and no index.
func plainOnPostgres(ctx context.Context, database string) (http.Handler, error) {
	const connections = 32
	cfg, err := pgxpool.ParseConfig(database)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	for _, table := range []string{plainProducts, plainJournal} {
		if _, err := pool.Exec(ctx, fmt.Sprintf(table, "jsonb")); err != nil {
			return nil, err
		}
	}
	return plain(func(ctx context.Context, id, sku string, data []byte) error {
		tx, err := pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(ctx) }()
		if _, err := tx.Exec(ctx, insertProduct, id, sku, data); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, insertJournal, uuid.NewString(), id, time.Now().Format(time.RFC3339Nano), data); err != nil {
			return err
		}
		return tx.Commit(ctx)
	}), nil
}

// plainOnSQLite is the same server on a file of SQLite that waits for the disk.
func plainOnSQLite(ctx context.Context, file string) (http.Handler, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer
	for _, table := range []string{plainProducts, plainJournal} {
		if _, err := db.ExecContext(ctx, fmt.Sprintf(table, "text")); err != nil {
			return nil, err
		}
	}
	product, err := db.PrepareContext(ctx, insertProduct)
	if err != nil {
		return nil, err
	}
	journal, err := db.PrepareContext(ctx, insertJournal)
	if err != nil {
		return nil, err
	}
	return plain(func(ctx context.Context, id, sku string, data []byte) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		inProducts, inJournal := tx.StmtContext(ctx, product), tx.StmtContext(ctx, journal)
		defer inProducts.Close()
		defer inJournal.Close()
		if _, err = inProducts.ExecContext(ctx, id, sku, data); err == nil {
			_, err = inJournal.ExecContext(ctx, uuid.NewString(), id, time.Now().Format(time.RFC3339Nano), data)
		}
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	}), nil
}

// plainProduct is a product of a plain CRUD server.
type plainProduct struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	SKU     string `json:"sku"`
	GTIN    string `json:"gtin,omitempty"`
	Name    string `json:"name"`
	Brand   string `json:"brand,omitempty"`
	Price   struct {
		Amount   string `json:"amount"`
		Currency string `json:"currency"`
	} `json:"price"`
	Description string            `json:"description,omitempty"`
	Category    string            `json:"category,omitempty"`
	Tags        []string          `json:"tags,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
}

// plain creates products by POST. store stores a product and its journal.
func plain(store func(ctx context.Context, id, sku string, data []byte) error) http.Handler {
	e := newEcho()
	e.POST("/api/v1/products", func(c *echo.Context) error {
		var p plainProduct
		if err := c.Bind(&p); err != nil {
			return err
		}
		if p.Name == "" || p.Price.Amount == "" || len(p.Price.Currency) != 3 {
			return echo.NewHTTPError(http.StatusBadRequest, "name and price are required")
		}
		p.ID, p.Version = uuid.NewString(), 1
		data, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if err := store(c.Request().Context(), p.ID, p.SKU, data); err != nil {
			return err
		}
		c.Response().Header().Set("Location", "/api/v1/products/"+p.ID)
		return c.Blob(http.StatusCreated, "application/json", data)
	})
	return e
}
