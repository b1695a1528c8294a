package projection_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"catalog/reader/internal/readertest"
)

func TestMain(m *testing.M) {
	if !readertest.Full() {
		_ = flag.Set("rapid.checks", "20")
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}
