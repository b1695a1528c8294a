package enginetest

import "testing"

// subject is a part of the suite of an engine E: the tests of one aspect.
type subject[E any] struct {
	name  string
	tests []engineTest[E]
}

// engineTest is one test of a suite. It gets an engine of its own.
type engineTest[E any] struct {
	name string
	run  func(t *testing.T, engine E)
}

// runSubjects runs the tests of all subjects in parallel, each with a new engine.
func runSubjects[E any](t *testing.T, open func(t *testing.T) E, subjects []subject[E]) {
	for _, s := range subjects {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range s.tests {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(t, open(t))
				})
			}
		})
	}
}
