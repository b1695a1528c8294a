//go:build real

package kafka

import (
	"os"
	"testing"
)

func TestLogOnKafka(t *testing.T) {
	brokers := os.Getenv("CATALOG_TEST_KAFKA_BROKERS")
	if brokers == "" {
		t.Fatal("CATALOG_TEST_KAFKA_BROKERS is not set")
	}
	testLog(t, brokers)
}
