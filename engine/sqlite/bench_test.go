package sqlite_test

import (
	"testing"

	"catalog/engine/enginetest"
	"catalog/engine/sqlite"
)

func BenchmarkSettle(b *testing.B) { enginetest.BenchmarkSettle(b, sqlite.NewStore(open(b))) }
