//go:build real

package mongo_test

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"catalog/catalogtest"
	"catalog/mongo"
	"catalog/reader"
)

func TestView(t *testing.T) {
	url := os.Getenv("CATALOG_TEST_MONGO_URL")
	if url == "" {
		t.Fatal("set CATALOG_TEST_MONGO_URL to the URL of a MongoDB server that may be written to")
	}
	catalogtest.TestView(t, func(t *testing.T) reader.View {
		database := "test_" + strings.ToLower(rand.Text()[:12])
		v, err := mongo.Open(t.Context(), mongo.Config{URL: url, Database: database})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx := context.WithoutCancel(t.Context())
			if err := v.Close(ctx); err != nil {
				t.Error(err)
			}
			client, err := driver.Connect(options.Client().ApplyURI(url))
			if err != nil {
				t.Error(err)
				return
			}
			defer client.Disconnect(ctx)
			if err := client.Database(database).Drop(ctx); err != nil {
				t.Error(err)
			}
		})
		return v
	})
}

func TestAMissingMongoDBIsSaidInOneLine(t *testing.T) {
	_, err := mongo.Open(t.Context(), mongo.Config{URL: "mongodb://user:secret@127.0.0.1:1"})
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("Open = %v; want one line without the password", err)
	}
}
