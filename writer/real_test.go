//go:build real

package writer_test

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// realSystem makes a system on the brokers of the environment, with topics of
// its own.
func realSystem(t *testing.T) *system {
	t.Helper()
	brokers := os.Getenv("CATALOG_TEST_KAFKA_BROKERS")
	if brokers == "" {
		t.Fatal("CATALOG_TEST_KAFKA_BROKERS is not set")
	}
	return systemOn(t, brokers, fmt.Sprintf("writer-%d", time.Now().UnixNano()))
}

func TestOnKafkaWritersThatAreKilledUnderLoadLoseDoubleAndReorderNothing(t *testing.T) {
	writersKilled(t, realSystem(t))
}

func TestOnKafkaAWriterThatWasFrozenAndWakesUpChangesNothing(t *testing.T) {
	writerFrozen(t, realSystem(t))
}
