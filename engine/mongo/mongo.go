// Package mongo keeps the view in MongoDB. It is the only importer of the
// driver, and implements projection.View.
//
// It uses only what MongoDB and FerretDB do alike, since FerretDB is what its
// tests can run on everywhere.
package mongo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"
	"golang.org/x/sync/semaphore"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/wire"
)

// Config says where the view is.
type Config struct {
	URL      string
	Database string // "" for catalog
	Updates  int    // that are sent and not yet answered, at most; 0 for 60
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "mongo.url", "", "`URL` of MongoDB, such as mongodb://127.0.0.1:27017")
	fs.StringVar(&c.Database, "mongo.database", "catalog", "`name` of the database")
	fs.IntVar(&c.Updates, "mongo.max-inflight", defaultUpdates, "`number` of updates sent at once, two a product; on FerretDB, those of all readers together must stay below its pool_max_conns")
}

// View is the view in a MongoDB database.
type View struct {
	client             *mongo.Client
	place              string
	products, progress *mongo.Collection
	updates            *semaphore.Weighted // those that may still be sent
}

// FerretDB 1 holds a connection to its PostgreSQL for each update of a command
// until the command ends. When there are none left it waits for ever, and
// answers nobody any more. So there are few in a command, and few at once.
const (
	perCommand     = 20 // products, of two updates each
	defaultUpdates = 60 // two readers stay below a pool of 150, and three of 200
)

// Open connects to MongoDB, or says in one line why not.
func Open(ctx context.Context, c Config) (*View, error) {
	if c.URL == "" {
		return nil, errors.New("no MongoDB is named; give -mongo.url mongodb://host:27017")
	}
	place := "the MongoDB URL"
	if u, err := url.Parse(c.URL); err == nil {
		place = u.Host // a URL may hold a password
	}
	client, err := mongo.Connect(options.Client().ApplyURI(c.URL).
		SetAppName("catalog").SetWriteConcern(writeconcern.Majority()).
		SetServerSelectionTimeout(3 * time.Second).SetTimeout(10 * time.Second).SetRetryWrites(true))
	if err != nil {
		return nil, fmt.Errorf("-mongo.url: %w", err)
	}
	if c.Database == "" {
		c.Database = "catalog"
	}
	if c.Updates <= 0 {
		c.Updates = defaultUpdates
	}
	db := client.Database(c.Database)
	v := &View{
		client: client, place: place, products: db.Collection("products"), progress: db.Collection("progress"),
		updates: semaphore.NewWeighted(int64(max(c.Updates, 2*perCommand))),
	}
	if err := v.Ping(ctx); err != nil {
		return nil, errors.Join(err, client.Disconnect(ctx))
	}
	return v, nil
}

// Ping says whether MongoDB answers.
func (v *View) Ping(ctx context.Context) error {
	if err := v.client.Database("admin").RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err(); err != nil {
		return fmt.Errorf("no MongoDB answers at %s (%w); start one there, or set -mongo.url", v.place, err)
	}
	return nil
}

// Close disconnects.
func (v *View) Close(ctx context.Context) error { return v.client.Disconnect(ctx) }

// reach adds ErrUnavailable to an error that says that MongoDB cannot be
// reached, or not for now.
func reach(err error) error {
	var (
		unselected topology.ServerSelectionError
		connection topology.ConnectionError
		answered   mongo.ServerError
	)
	switch {
	case errors.Is(err, context.Canceled):
	case errors.As(err, &unselected), errors.As(err, &connection), mongo.IsNetworkError(err), mongo.IsTimeout(err), unsent(err), failed(err),
		errors.As(err, &answered) && answered.HasErrorLabel("RetryableWriteError"): // it is stopping, or no longer the primary
		return fmt.Errorf("MongoDB: %w: %w", catalog.ErrUnavailable, err)
	}
	return err
}

// unsent says that others have lost their connection, so that the driver gives
// up all of them, and has not sent what was to be sent.
func unsent(err error) bool {
	var given interface{ Retryable() bool }
	return errors.As(err, &given) && given.Retryable()
}

// failed says that the server could not do it, although nothing is wrong with
// it. That is what FerretDB answers who gets a connection to its PostgreSQL on
// which somebody before has run out of time.
func failed(err error) bool {
	const internalError = 1
	var answered mongo.ServerError
	return errors.As(err, &answered) && answered.HasErrorCode(internalError)
}

// document is a product in the collection. Money is two integers, times are
// microseconds since 1970: nothing is rounded.
type document struct {
	ID          string      `bson:"_id"`
	Version     int64       `bson:"version"`
	Deleted     bool        `bson:"deleted,omitempty"`
	SKU         string      `bson:"sku,omitempty"`
	Name        string      `bson:"name,omitempty"`
	Description string      `bson:"description,omitempty"`
	Price       money       `bson:"price"`
	Category    string      `bson:"category,omitempty"`
	Tags        []string    `bson:"tags,omitempty"`
	Attributes  []attribute `bson:"attributes,omitempty"` // a list: keys may have dots and dollars
	CreatedAt   int64       `bson:"createdAt"`
	UpdatedAt   int64       `bson:"updatedAt"`
	PastPrices  []pastPrice `bson:"pastPrices,omitempty"`
}

type pastPrice struct {
	Price money `bson:"price"`
	Until int64 `bson:"until"`
}

type money struct {
	Units    int64  `bson:"units"`
	Nanos    int32  `bson:"nanos"`
	Currency string `bson:"currency"`
}

func (m money) money() catalog.Money {
	return catalog.Money{Decimal: catalog.Decimal{Units: m.Units, Nanos: m.Nanos}, Currency: m.Currency}
}

type attribute struct {
	Key   string `bson:"k"`
	Value string `bson:"v"`
}

func documentOf(p catalog.Product) document {
	d := document{
		ID: p.ID.String(), Version: p.Version, Deleted: p.Deleted,
		SKU: p.SKU, Name: p.Name, Description: p.Description, Category: p.Category, Tags: p.Tags,
		Price:     money{p.Price.Units, p.Price.Nanos, p.Price.Currency},
		CreatedAt: p.CreatedAt.UnixMicro(), UpdatedAt: p.UpdatedAt.UnixMicro(),
	}
	for _, k := range slices.Sorted(maps.Keys(p.Attributes)) { // sorted for people who look
		d.Attributes = append(d.Attributes, attribute{k, p.Attributes[k]})
	}
	for _, past := range p.PastPrices {
		d.PastPrices = append(d.PastPrices, pastPrice{money{past.Units, past.Nanos, past.Currency}, past.Until.UnixMicro()})
	}
	return d
}

func (d document) product() (catalog.Product, error) {
	id, err := catalog.ParseID(d.ID)
	if err != nil {
		return catalog.Product{}, err
	}
	p := catalog.Product{
		ID: id, Version: d.Version, Deleted: d.Deleted,
		ProductData: catalog.ProductData{
			SKU: d.SKU, Name: d.Name, Description: d.Description, Category: d.Category, Tags: d.Tags,
			Price: d.Price.money(),
		},
		CreatedAt: wire.TruncateTime(time.UnixMicro(d.CreatedAt)), UpdatedAt: wire.TruncateTime(time.UnixMicro(d.UpdatedAt)),
	}
	for _, past := range d.PastPrices {
		p.PastPrices = append(p.PastPrices, catalog.PastPrice{Money: past.Price.money(), Until: wire.TruncateTime(time.UnixMicro(past.Until))})
	}
	for _, a := range d.Attributes {
		if p.Attributes == nil {
			p.Attributes = map[string]string{}
		}
		p.Attributes[a.Key] = a.Value
	}
	return p, nil
}

// Apply stores the products that are newer than what is stored. Each takes two
// updates, of which a stale one is no error: insert it if there is none, then
// replace it if what is there is older. (An upsert guarded by the version would
// be a duplicate key where it is stale.)
func (v *View) Apply(ctx context.Context, products []catalog.Product) error {
	for from := 0; from < len(products); from += perCommand {
		var writes []mongo.WriteModel
		for _, p := range products[from:min(from+perCommand, len(products))] {
			d := documentOf(p)
			insert, err := insertOf(d)
			if err != nil {
				return err
			}
			writes = append(writes, insert, mongo.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: d.ID}, {Key: "version", Value: bson.D{{Key: "$lt", Value: d.Version}}}}).
				SetReplacement(d))
		}
		if err := v.write(ctx, v.products, writes); err != nil {
			return fmt.Errorf("apply %d products to the view: %w", len(products), reach(err))
		}
	}
	return nil
}

// insertOf inserts the document if there is none.
func insertOf(d document) (mongo.WriteModel, error) {
	raw, err := bson.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("product %s: %w", d.ID, err)
	}
	var fields bson.D
	if err := bson.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("product %s: %w", d.ID, err)
	}
	fields = fields[1:] // without _id, which the filter gives
	return mongo.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: d.ID}}).
		SetUpdate(bson.D{{Key: "$setOnInsert", Value: fields}}).SetUpsert(true), nil
}

// write sends updates as one command, in order, when there is room for it. They
// are sent again when that may help: each of our updates may be, and does nothing
// the second time. Who inserts a document that another process inserts at the
// same moment is told of a duplicate key; then it is there.
func (v *View) write(ctx context.Context, c *mongo.Collection, updates []mongo.WriteModel) error {
	n := int64(len(updates))
	if err := v.updates.Acquire(ctx, n); err != nil {
		return err
	}
	defer v.updates.Release(n)
	var err error
	for range 1 + len(updates) { // at each duplicate key one more is there
		if _, err = c.BulkWrite(ctx, updates, options.BulkWrite().SetOrdered(true)); !mongo.IsDuplicateKeyError(err) && !unsent(err) && !failed(err) {
			break
		}
	}
	return err
}

// Product answers the product, which may be a tombstone.
func (v *View) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	var d document
	err := v.products.FindOne(ctx, bson.D{{Key: "_id", Value: id.String()}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", id, reach(err))
	}
	return d.product()
}

// Each shows all products as they come.
func (v *View) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	const page = 500
	cursor, err := v.products.Find(ctx, bson.D{}, options.Find().SetBatchSize(page))
	if err != nil {
		return fmt.Errorf("all products of the view: %w", reach(err))
	}
	defer cursor.Close(context.WithoutCancel(ctx))
	products := make([]catalog.Product, 0, page)
	for cursor.Next(ctx) {
		var d document
		if err := cursor.Decode(&d); err != nil {
			return fmt.Errorf("all products of the view: %w", err)
		}
		p, err := d.product()
		if err != nil {
			return fmt.Errorf("all products of the view: %w", err)
		}
		if products = append(products, p); len(products) == page {
			if err := handle(products); err != nil {
				return err
			}
			products = products[:0]
		}
	}
	if err := cursor.Err(); err != nil {
		return fmt.Errorf("all products of the view: %w", reach(err))
	}
	return handle(products)
}

// Correct replaces what is stored at the version was.
func (v *View) Overwrite(ctx context.Context, was int64, p catalog.Product) error {
	d := documentOf(p)
	wrong := bson.D{{Key: "_id", Value: d.ID}, {Key: "version", Value: was}}
	var change mongo.WriteModel = mongo.NewReplaceOneModel().SetFilter(wrong).SetReplacement(d)
	var err error
	switch {
	case p.Version == 0:
		change = mongo.NewDeleteOneModel().SetFilter(wrong)
	case was == 0:
		change, err = insertOf(d)
	}
	if err == nil {
		err = v.write(ctx, v.products, []mongo.WriteModel{change})
	}
	if err != nil {
		return fmt.Errorf("correct product %s: %w", p.ID, reach(err))
	}
	return nil
}

type progress struct {
	Shard  int32 `bson:"_id"`
	Seq    int64 `bson:"seq"`
	Offset int64 `bson:"offset"`
}

// Progress answers the progress saved for the shard.
func (v *View) Checkpoint(ctx context.Context, shard int32) (eventlog.Checkpoint, error) {
	d := progress{Shard: shard}
	err := v.progress.FindOne(ctx, bson.D{{Key: "_id", Value: shard}}).Decode(&d)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return eventlog.Checkpoint{}, fmt.Errorf("progress of shard %d: %w", shard, reach(err))
	}
	return eventlog.Checkpoint{Position: catalog.Position{Shard: shard, Seq: d.Seq}, Offset: d.Offset}, nil
}

// Save stores the progress of a shard, unless a higher seq is stored.
func (v *View) SaveCheckpoint(ctx context.Context, p eventlog.Checkpoint) error {
	at := bson.D{{Key: "seq", Value: p.Seq}, {Key: "offset", Value: p.Offset}}
	err := v.write(ctx, v.progress, []mongo.WriteModel{
		mongo.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: p.Shard}}).
			SetUpdate(bson.D{{Key: "$setOnInsert", Value: at}}).SetUpsert(true),
		mongo.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: p.Shard}, {Key: "seq", Value: bson.D{{Key: "$lte", Value: p.Seq}}}}).
			SetUpdate(bson.D{{Key: "$set", Value: at}}),
	})
	if err != nil {
		return fmt.Errorf("save progress %s: %w", p.Position, reach(err))
	}
	return nil
}
