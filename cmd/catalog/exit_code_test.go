package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"syscall"
	"testing"

	"catalog"
	"catalog/api"
	"catalog/client"
	"catalog/internal/rpc"
)

func TestExitCode(t *testing.T) {
	problem := func(code catalog.Code) error {
		return fmt.Errorf("product: %w", &client.Problem{Problem: api.Problem{Code: api.ProblemCode(code)}})
	}
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"no error", nil, 0},
		{"-h", flag.ErrHelp, 0},
		{"a command line that is not valid", wrongUsage("give one file"), 2},
		{"an error outside of the error model", errors.New("disk full"), 1},
		{"an invalid row", catalog.Invalid("name", "must not be empty"), 3},
		{"a product that does not exist", fmt.Errorf("no product: %w", catalog.ErrNotFound), 4},
		{"a server that cannot be reached", &url.Error{Op: "Get", URL: "http://127.0.0.1:1", Err: syscall.ECONNREFUSED}, 6},
		{"an error of a reader", fmt.Errorf("reader 127.0.0.1:1: %w", callError{rpc.ToStatus(catalog.ErrOverloaded)}), 6},
	}
	for _, k := range catalog.ErrorKinds {
		tests = append(tests, struct {
			name string
			err  error
			want int
		}{"a problem with the code " + string(k.Code), problem(k.Code), k.ExitCode})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("exitCode(%v) = %d; want %d", tt.err, got, tt.want)
			}
		})
	}
}
