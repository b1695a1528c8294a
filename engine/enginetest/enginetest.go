// Package enginetest holds the test suites of the engines: one suite for each
// interface that an engine can implement. An engine is complete when it passes
// its suite.
package enginetest

import (
	"os"
	"testing"

	"pgregory.net/rapid"
)

// shortChecks is the number of random test cases without CATALOG_TEST_FULL.
const shortChecks = 25

// full reports whether randomized tests run at full size: CATALOG_TEST_FULL=1.
func full() bool { return os.Getenv("CATALOG_TEST_FULL") == "1" }

// check runs property on random test cases: shortChecks of them, or as many as
// -rapid.checks says at full size.
func check(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	passed, failed := 0, false
	rapid.Check(t, func(r *rapid.T) {
		if passed >= shortChecks && !failed && !full() {
			return
		}
		failed = true // stays true if property does not return: rapid stops it with a panic
		property(r)
		failed = r.Failed()
		passed++
	})
}
