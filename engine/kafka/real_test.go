//go:build real

package kafka

import (
	"os"
	"slices"
	"testing"
)

func TestRealKafka(t *testing.T) {
	brokers := os.Getenv("CATALOG_TEST_KAFKA_BROKERS")
	if brokers == "" {
		t.Fatal("CATALOG_TEST_KAFKA_BROKERS is not set")
	}
	runBrokerTests(t, brokers, slices.Concat(producerTests, consumerTests, workerTests, topicCheckTests, deadLetterTests, topicTests, foreignTests))
}
