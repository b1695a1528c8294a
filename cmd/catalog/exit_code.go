package main

import (
	"errors"
	"flag"
	"net/url"

	"google.golang.org/grpc/status"

	"catalog"
	"catalog/client"
	"catalog/internal/rpc"
)

// exitUsage is the exit code for a command line that is not valid.
const exitUsage = 2

// exitCode returns the exit code for the error of a command: by the error model of the
// root package, in which 1 stands for errors that have no row of their own.
func exitCode(err error) int {
	var usage *usageError
	var problem *client.Problem
	var unreachable *url.Error
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &problem):
		return catalog.Code(problem.Code).Kind().ExitCode
	case errors.As(err, &unreachable):
		return catalog.CodeUnavailable.Kind().ExitCode
	}
	return rpc.CodeOf(err).Kind().ExitCode
}

// callError is the error of a gRPC call. Its text is the message of the server, without
// the prefix that the gRPC library adds.
type callError struct{ error }

func (e callError) Error() string { return status.Convert(e.error).Message() }
func (e callError) Unwrap() error { return e.error }
