//go:build real

package postgres_test

import (
	"testing"

	"catalog/engine/enginetest"
	"catalog/engine/postgres"
)

func BenchmarkSettle(b *testing.B) {
	enginetest.BenchmarkSettle(b, open(b, postgres.Config{URL: migrated(b)}))
}
