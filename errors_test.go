package catalog_test

import (
	"errors"
	"fmt"
	"testing"

	"catalog"
)

func TestErrorKinds(t *testing.T) {
	t.Run("each code, sentinel and title has one row", func(t *testing.T) {
		seen := map[string]bool{}
		for _, k := range catalog.ErrorKinds {
			for _, key := range []string{string(k.Code), k.Title} {
				if seen[key] || key == "" {
					t.Errorf("%q stands in two rows, or is empty", key)
				}
				seen[key] = true
			}
			if k.Meaning == "" || k.Retry == "" || k.HTTPStatus < 400 || k.ExitCode < 1 || k.ExitCode == 2 {
				t.Errorf("%s: the row is incomplete: %+v", k.Code, k)
			}
			if k.Code.Kind().Code != k.Code {
				t.Errorf("Kind of %s is %s", k.Code, k.Code.Kind().Code)
			}
		}
	})
	t.Run("an error belongs to the row of its sentinel, and to no other", func(t *testing.T) {
		for _, k := range catalog.ErrorKinds {
			if k.Err == nil {
				continue
			}
			if got := catalog.KindOf(fmt.Errorf("read product: %w", k.Err)); got.Code != k.Code {
				t.Errorf("KindOf(%v) = %s, want %s", k.Err, got.Code, k.Code)
			}
			for _, other := range catalog.ErrorKinds {
				if other.Err != nil && errors.Is(k.Err, other.Err) != (k.Code == other.Code) {
					t.Errorf("errors.Is(%s, %s) = %v", k.Code, other.Code, k.Code != other.Code)
				}
			}
		}
	})
	t.Run("an error that is in no row is internal", func(t *testing.T) {
		if got := catalog.KindOf(errors.New("disk is full")).Code; got != catalog.CodeInternal {
			t.Errorf("KindOf = %s", got)
		}
	})
	t.Run("a code with Retry-After advises a retry", func(t *testing.T) {
		for _, k := range catalog.ErrorKinds {
			if (k.RetryAfter > 0) != (k.Retry == catalog.RetryLater || k.Retry == catalog.RetryReduced) {
				t.Errorf("%s: Retry-After is %d s, and the advice is %q", k.Code, k.RetryAfter, k.Retry)
			}
		}
	})
	t.Run("under overload the advice is to wait, and to ask for less only of a slow query", func(t *testing.T) {
		overloaded, slow := catalog.CodeOverloaded.Kind(), catalog.CodeTooSlow.Kind()
		if overloaded.Retry != catalog.RetryLater || slow.Retry != catalog.RetryReduced || overloaded.RetryAfter <= catalog.CodeUnavailable.Kind().RetryAfter {
			t.Errorf("overloaded: %q after %d s; too_slow: %q", overloaded.Retry, overloaded.RetryAfter, slow.Retry)
		}
	})
}
