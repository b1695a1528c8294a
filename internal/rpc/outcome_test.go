package rpc

import (
	"testing"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog/internal/breaker"
)

// TestOutcome lists what each status says about the server that a call was sent to. A
// status that the server sent is a response, whatever it is.
func TestOutcome(t *testing.T) {
	notSent := map[codes.Code]breaker.Outcome{codes.OK: breaker.Succeeded, codes.Unavailable: breaker.Failed, codes.DeadlineExceeded: breaker.Failed}
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		want, ok := notSent[code]
		if !ok {
			want = breaker.Canceled
		}
		if got := outcome(balancer.DoneInfo{Err: status.Error(code, "")}); got != want {
			t.Errorf("%v without a reply: outcome = %v; want %v", code, got, want)
		}
		if got := outcome(balancer.DoneInfo{Err: status.Error(code, ""), BytesReceived: true}); got != breaker.Succeeded {
			t.Errorf("%v from the server: outcome = %v; want %v", code, got, breaker.Succeeded)
		}
	}
}
