package daemon_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"catalog/internal/daemon"
)

func TestMask(t *testing.T) {
	const secret = "pl4nted"
	for _, test := range []struct{ name, value, want string }{
		{"postgres.url", "postgres://catalog:pl4nted@db:5432/catalog?sslmode=disable", "postgres://catalog:xxxxx@db:5432/catalog?sslmode=disable"},
		{"postgres.url", "postgres://catalog@db/catalog?password=pl4nted&sslmode=disable", "postgres://catalog@db/catalog?password=xxxxx&sslmode=disable"},
		{"postgres.url", "host=db user=catalog password=pl4nted dbname=catalog", "host=db user=catalog password=xxxxx dbname=catalog"},
		{"postgres.url", "host=db password='with spaces pl4nted' dbname=catalog", "host=db password=xxxxx dbname=catalog"},
		{"postgres.url", "postgres://catalog:pl4nted/with@signs:@db/catalog", "postgres://catalog:xxxxx@db/catalog"},
		{"postgres.url", "postgres://db/catalog?sslkey=client.key&sslpassword=pl4nted", "postgres://db/catalog?sslkey=xxxxx&sslpassword=xxxxx"},
		{"mongo.url", "mongodb://catalog:pl4nted@m1:27017,m2:27017/?replicaSet=rs0", "mongodb://catalog:xxxxx@m1:27017,m2:27017/?replicaSet=rs0"},
		{"mongo.url", "mongodb+srv://m/?tlsCertificateKeyFilePassword=pl4nted", "mongodb+srv://m/?tlsCertificateKeyFilePassword=xxxxx"},
		{"mongo.url", "mongodb://m/?authMechanismProperties=SERVICE_NAME:m,AWS_SESSION_TOKEN:pl4nted&tls=true", "mongodb://m/?authMechanismProperties=SERVICE_NAME:m,AWS_SESSION_TOKEN:xxxxx&tls=true"},
		{"redis.url", "redis://:pl4nted@r:6379/0", "redis://:xxxxx@r:6379/0"},
		{"opensearch.url", "https://a:pl4nted@o1:9200,https://b:pl4nted@o2:9200", "https://a:xxxxx@o2:9200"},
		{"kafka.sasl.password", secret, "xxxxx"},
		{"opensearch.api-key", secret, "xxxxx"},
		{"auth.token", secret, "xxxxx"},
		{"client-secret", secret, "xxxxx"},
		// These are not secrets.
		{"kafka.password-file", "/run/secrets/kafka", "/run/secrets/kafka"},
		{"redis.url", "redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"},
		{"kafka.brokers", "k1:9092,k2:9092", "k1:9092,k2:9092"},
		{"max-backlog-age", "30s", "30s"},
		{"reader", "dns:///reader:9093", "dns:///reader:9093"},
	} {
		t.Run(test.name+" "+test.value, func(t *testing.T) {
			got := daemon.Mask(test.name, test.value)
			if got != test.want || strings.Contains(got, secret) {
				t.Errorf("Mask = %q; want %q", got, test.want)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.String("admin", "127.0.0.1:9101", "")
	fs.String("kafka.brokers", "", "")
	fs.String("postgres.url", "", "")
	fs.Duration("max-backlog-age", 30, "")
	fs.Bool("healthcheck", false, "")
	if err := daemon.Parse(fs, []string{"-healthcheck", "-kafka.brokers=k1:9092", "-postgres.url=postgres://u:pl4nted@db/c"}); err != nil {
		t.Fatal(err)
	}
	t.Run("settings that differ from the default or are always of interest are shown, without secrets", func(t *testing.T) {
		got := fmt.Sprint(daemon.Settings(fs, "admin"))
		if want := "[admin=127.0.0.1:9101 kafka.brokers=k1:9092 postgres.url=postgres://u:xxxxx@db/c]"; got != want {
			t.Errorf("Settings = %s; want %s", got, want)
		}
	})
}
