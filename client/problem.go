package client

import (
	"errors"
	"net/http"

	"catalog"
	"catalog/api"
)

// Problem is an error response of the server (RFC 9457).
type Problem struct{ api.Problem }

// Error returns title, detail and field errors in one line.
func (p *Problem) Error() string {
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	for _, f := range p.Errors {
		text += "; " + f.Field + " " + f.Reason
	}
	return text
}

// ErrorCode returns the code of the problem. A response without a code, such as
// one of a proxy, has the code that fits its status.
func (p *Problem) ErrorCode() catalog.Code {
	if p.Code != "" {
		return catalog.Code(p.Code)
	}
	switch p.Status {
	case http.StatusTooManyRequests:
		return catalog.CodeBusy
	case http.StatusServiceUnavailable:
		return catalog.CodeUnavailable
	case http.StatusGatewayTimeout:
		return catalog.CodeOutcomeUnknown
	}
	return catalog.CodeInternal
}

// Is reports whether target is the sentinel of the problem's code.
func (p *Problem) Is(target error) bool {
	kind := p.ErrorCode().Kind()
	return kind.Code == p.ErrorCode() && kind.Err != nil && errors.Is(kind.Err, target)
}

// retryable reports whether a retry of the same request may help.
func retryable(err error) bool {
	var f *finalError
	if errors.As(err, &f) {
		return false
	}
	var p *Problem
	if errors.As(err, &p) {
		retry := p.ErrorCode().Kind().Retry
		return retry == catalog.RetryLater || retry == catalog.RetrySameKey
	}
	var i *interruptedError
	return errors.As(err, &i)
}
