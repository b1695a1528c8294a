package sqlite_test

import (
	"testing"

	"catalog/engine/enginetest"
	"catalog/engine/sqlite"
	"catalog/reader/projection"
)

func TestView(t *testing.T) {
	t.Parallel()
	enginetest.TestView(t, func(t *testing.T) projection.View { return sqlite.NewView(open(t)) })
}
