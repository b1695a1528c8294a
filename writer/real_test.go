//go:build real

package writer_test

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// realSystem returns a system on the brokers of the environment, with its own
// topics.
func realSystem(t *testing.T) *system {
	t.Helper()
	brokers := os.Getenv("CATALOG_TEST_KAFKA_BROKERS")
	if brokers == "" {
		t.Fatal("CATALOG_TEST_KAFKA_BROKERS is not set")
	}
	return systemOn(t, brokers, fmt.Sprintf("writer-%d", time.Now().UnixNano()))
}

func TestTakeover_realKafka(t *testing.T) {
	t.Run("writers killed under load lose, repeat and reorder no command", func(t *testing.T) { writersKilled(t, realSystem(t)) })
	t.Run("a writer that was frozen changes nothing when it resumes", func(t *testing.T) { writerFrozen(t, realSystem(t)) })
}
