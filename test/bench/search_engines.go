package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"catalog"
	"catalog/engine/bleve"
	"catalog/eventlog"
)

// ownIndexEngine is the index of this module, in the process.
type ownIndexEngine struct {
	index *bleve.Index
}

func openOwnIndex(dir string) (searchEngine, error) {
	x, err := bleve.Open(dir, slog.New(slog.DiscardHandler))
	return &ownIndexEngine{x}, err
}

func (x *ownIndexEngine) add(ctx context.Context, from, to int) error {
	products := make([]catalog.Product, 0, to-from)
	for i := from; i < to; i++ {
		products = append(products, product(i))
	}
	return x.index.Apply(ctx, products, []eventlog.Checkpoint{{Position: catalog.Position{Seq: int64(to)}}})
}

func (x *ownIndexEngine) finish(context.Context) error { return nil } // Apply has made the products visible

func (x *ownIndexEngine) ask(ctx context.Context, q question) (int, error) {
	query := catalog.Query{Text: q.text, Category: q.category, Limit: page}
	if q.facets {
		query.Facets = []string{"category", "brand"}
	}
	if q.minPrice > 0 {
		query.MinPrice, query.Currency = &catalog.Decimal{Units: q.minPrice}, "EUR"
	}
	if q.byPrice {
		query.Sort, query.Currency = catalog.PriceAscending, "EUR"
	}
	found, err := x.index.Search(ctx, query)
	return int(found.Total), err
}

func (x *ownIndexEngine) close() error { return x.index.Close() }

// competitors returns the engines that the index is compared with.
func (b *bench) competitors() []competitor {
	return []competitor{
		{"SQLite FTS5", func(ctx context.Context) (searchEngine, error) {
			return openFTS5(ctx, filepath.Join(b.dir, "fts5.sqlite"))
		}, 0},
		{"PostgreSQL", openTextSearch, 2},
		{"OpenSearch", openOpenSearch, 2},
	}
}

// fts5 is a table of SQLite with an index of its texts, in the process.
type fts5 struct{ db *sql.DB }

func openFTS5(ctx context.Context, file string) (searchEngine, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=cache_size(-65536)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(searchers)
	db.SetMaxIdleConns(searchers)
	_, err = db.ExecContext(ctx, `
		CREATE TABLE products (n INTEGER PRIMARY KEY, sku TEXT, gtin TEXT, name TEXT, brand TEXT, category TEXT, description TEXT, price INTEGER, data TEXT);
		CREATE VIRTUAL TABLE texts USING fts5(sku, gtin, name, brand, category, description, content='products', content_rowid='n', prefix='2 3');
		CREATE INDEX by_category ON products (category, price);`)
	return &fts5{db}, err
}

func (x *fts5) add(ctx context.Context, from, to int) error {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	row, err := tx.PrepareContext(ctx, `INSERT INTO products VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer row.Close()
	text, err := tx.PrepareContext(ctx, `INSERT INTO texts (rowid, sku, gtin, name, brand, category, description) VALUES (?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	defer text.Close()
	for i := from; i < to; i++ {
		p := product(i)
		data, err := json.Marshal(p.ProductData)
		if err != nil {
			return err
		}
		if _, err := row.ExecContext(ctx, i, p.SKU, p.GTIN, p.Name, p.Brand, p.Category, p.Description, p.Price.Units, string(data)); err != nil {
			return err
		}
		if _, err := text.ExecContext(ctx, i, p.SKU, p.GTIN, p.Name, p.Brand, p.Category, p.Description); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (x *fts5) finish(context.Context) error { return nil }

func (x *fts5) ask(ctx context.Context, q question) (n int, err error) {
	var match []string
	for word := range strings.FieldsSeq(q.text) {
		word = `"` + word + `"`
		if q.prefix {
			word += "*"
		}
		match = append(match, word)
	}
	from := ` FROM texts JOIN products ON n = texts.rowid WHERE texts MATCH ?`
	args := []any{strings.Join(match, " ")}
	if q.minPrice > 0 {
		from, args = from+` AND price >= ?`, append(args, q.minPrice)
	}
	if q.category != "" {
		from, args = from+` AND products.category = ?`, append(args, q.category)
	}
	order := "texts.rank"
	if q.byPrice {
		order = "price, n"
	}
	rows, err := x.db.QueryContext(ctx, `SELECT data`+from+` ORDER BY `+order+fmt.Sprint(` LIMIT `, page), args...)
	if err := readRows(1, rows, err); err != nil {
		return 0, err
	}
	if q.facets {
		for _, column := range []string{"products.category", "products.brand"} {
			rows, err := x.db.QueryContext(ctx, `SELECT `+column+`, count(*)`+from+` GROUP BY 1 ORDER BY 2 DESC LIMIT 50`, args...)
			if err := readRows(2, rows, err); err != nil {
				return 0, err
			}
		}
	}
	err = x.db.QueryRowContext(ctx, `SELECT count(*)`+from, args...).Scan(&n)
	return n, err
}

// readRows reads all rows of one or two columns.
func readRows(width int, rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var value, n any
		columns := []any{&value, &n}
		if err := rows.Scan(columns[:width]...); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (x *fts5) close() error { return x.db.Close() }

// textSearch is a table of PostgreSQL with an index of its texts.
type textSearch struct {
	pool *pgxpool.Pool
	drop func(context.Context) error
}

func openTextSearch(ctx context.Context) (searchEngine, error) {
	e, err := realEngines(ctx)
	if err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(e.postgres)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = searchers
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	_, err = pool.Exec(ctx, `
		CREATE TABLE products (n integer PRIMARY KEY, category text NOT NULL, brand text NOT NULL, price bigint NOT NULL, data jsonb NOT NULL, texts tsvector NOT NULL);
		CREATE INDEX ON products USING gin (texts);
		CREATE INDEX ON products (category, price)`)
	return &textSearch{pool, e.drop}, err
}

func (x *textSearch) add(ctx context.Context, from, to int) error {
	var batch pgx.Batch
	for i := from; i < to; i++ {
		p := product(i)
		data, err := json.Marshal(p.ProductData)
		if err != nil {
			return err
		}
		batch.Queue(`INSERT INTO products VALUES ($1, $2, $3, $4, $5,
			setweight(to_tsvector('simple', $6), 'A') || to_tsvector('simple', $7))`,
			i, p.Category, p.Brand, p.Price.Units, data, strings.Join([]string{p.SKU, p.GTIN, p.Name}, " "), strings.Join([]string{p.Brand, p.Category, p.Description}, " "))
	}
	return pgx.BeginFunc(ctx, x.pool, func(tx pgx.Tx) error { return tx.SendBatch(ctx, &batch).Close() })
}

func (x *textSearch) finish(ctx context.Context) error {
	_, err := x.pool.Exec(ctx, `VACUUM ANALYZE products`)
	return err
}

func (x *textSearch) ask(ctx context.Context, q question) (n int, err error) {
	query, text := `websearch_to_tsquery('simple', $1)`, q.text
	if q.prefix {
		query, text = `to_tsquery('simple', $1)`, strings.Join(strings.Fields(q.text), ":* & ")+":*"
	}
	from := ` FROM products, ` + query + ` query WHERE texts @@ query`
	args := []any{text}
	if q.minPrice > 0 {
		from, args = from+fmt.Sprintf(` AND price >= $%d`, len(args)+1), append(args, q.minPrice)
	}
	if q.category != "" {
		from, args = from+fmt.Sprintf(` AND category = $%d`, len(args)+1), append(args, q.category)
	}
	order := "ts_rank(texts, query) DESC, n"
	if q.byPrice {
		order = "price, n"
	}
	statements := []string{`SELECT data` + from + ` ORDER BY ` + order + fmt.Sprint(` LIMIT `, page)}
	if q.facets {
		for _, column := range []string{"category", "brand"} {
			statements = append(statements, `SELECT `+column+`, count(*)`+from+` GROUP BY 1 ORDER BY 2 DESC LIMIT 50`)
		}
	}
	for _, statement := range statements {
		rows, err := x.pool.Query(ctx, statement, args...)
		if err != nil {
			return 0, err
		}
		for rows.Next() {
			_ = rows.RawValues()
		}
		if err := rows.Err(); err != nil {
			return 0, err
		}
	}
	err = x.pool.QueryRow(ctx, `SELECT count(*)`+from, args...).Scan(&n)
	return n, err
}

func (x *textSearch) close() error {
	x.pool.Close()
	return x.drop(context.Background())
}

// openSearch is an index of OpenSearch.
type openSearch struct {
	url    string // URL of the index
	client *http.Client
}

func openOpenSearch(ctx context.Context) (searchEngine, error) {
	server := os.Getenv("CATALOG_TEST_OPENSEARCH_URL")
	if server == "" {
		return nil, errNoEngines
	}
	x := &openSearch{
		url:    fmt.Sprintf("%s/bench-%d", server, time.Now().UnixNano()),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: searchers}, Timeout: time.Minute},
	}
	_, err := x.do(ctx, http.MethodPut, "", `{"settings": {"number_of_shards": 1, "number_of_replicas": 0}, "mappings": {"properties": {
		"sku": {"type": "text"}, "gtin": {"type": "text"}, "name": {"type": "text"}, "description": {"type": "text"},
		"brand": {"type": "text", "fields": {"exact": {"type": "keyword"}}}, "category": {"type": "text", "fields": {"exact": {"type": "keyword"}}},
		"price": {"type": "long"}, "data": {"type": "object", "enabled": false}}}}`)
	return x, err
}

// do sends a request and returns the body of its response.
func (x *openSearch) do(ctx context.Context, method, path, body string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, x.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	w, err := x.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer w.Body.Close()
	content, err := io.ReadAll(w.Body)
	if err == nil && w.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %.300s", method, path, w.Status, content)
	}
	return content, err
}

func (x *openSearch) add(ctx context.Context, from, to int) error {
	var lines bytes.Buffer
	e := json.NewEncoder(&lines)
	for i := from; i < to; i++ {
		p := product(i)
		fmt.Fprintf(&lines, "{\"index\":{\"_id\":\"%d\"}}\n", i)
		if err := e.Encode(map[string]any{
			"sku": p.SKU, "gtin": p.GTIN, "name": p.Name, "description": p.Description, "brand": p.Brand, "category": p.Category,
			"price": p.Price.Units, "data": p.ProductData,
		}); err != nil {
			return err
		}
	}
	content, err := x.do(ctx, http.MethodPost, "/_bulk", lines.String())
	if err == nil && bytes.Contains(content, []byte(`"errors":true`)) {
		err = fmt.Errorf("bulk: %.300s", content)
	}
	return err
}

func (x *openSearch) finish(ctx context.Context) error {
	_, err := x.do(ctx, http.MethodPost, "/_refresh", "")
	return err
}

func (x *openSearch) ask(ctx context.Context, q question) (int, error) {
	// A multi_match of all words finds them in different fields; words that begin with
	// what was typed need a clause each; a SKU has several words.
	kind, texts := "cross_fields", []string{q.text}
	if q.prefix {
		kind, texts = "phrase_prefix", strings.Fields(q.text)
	} else if !strings.Contains(q.text, " ") {
		kind = "phrase"
	}
	var must []any
	for _, text := range texts {
		fields := []string{"sku^4", "gtin^4", "name^3", "brand", "category", "description"}
		must = append(must, map[string]any{"multi_match": map[string]any{"query": text, "fields": fields, "operator": "and", "type": kind}})
	}
	var filters []any
	if q.minPrice > 0 {
		filters = append(filters, map[string]any{"range": map[string]any{"price": map[string]any{"gte": q.minPrice}}})
	}
	if q.category != "" {
		filters = append(filters, map[string]any{"term": map[string]any{"category.exact": q.category}})
	}
	body := map[string]any{
		"size": page, "track_total_hits": true,
		"query": map[string]any{"bool": map[string]any{"must": must, "filter": filters}},
	}
	if q.byPrice {
		body["sort"] = []any{map[string]any{"price": "asc"}}
	}
	if q.facets {
		count := func(field string) map[string]any {
			return map[string]any{"terms": map[string]any{"field": field, "size": 50}}
		}
		body["aggs"] = map[string]any{"category": count("category.exact"), "brand": count("brand.exact")}
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	content, err := x.do(ctx, http.MethodPost, "/_search", string(encoded))
	if err != nil {
		return 0, err
	}
	var found struct {
		Hits struct {
			Total struct{ Value int }
		}
	}
	err = json.Unmarshal(content, &found)
	return found.Hits.Total.Value, err
}

func (x *openSearch) close() error {
	_, err := x.do(context.Background(), http.MethodDelete, "", "")
	return err
}
