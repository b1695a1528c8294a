package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"

	"catalog"
)

// TestMarkUnavailable lists the errors of the client library. Only those that mean that
// Redis cannot be reached or cannot work make readers bypass the cache.
func TestMarkUnavailable(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"no error":                  {nil, false},
		"canceled by the caller":    {context.Canceled, false},
		"out of the caller's time":  {fmt.Errorf("read: %w", context.DeadlineExceeded), false},
		"connection refused":        {&net.OpError{Op: "dial", Err: errors.New("refused")}, true},
		"no reply to a ping":        {os.ErrDeadlineExceeded, true},
		"connection closed":         {io.EOF, true},
		"connection cut":            {io.ErrUnexpectedEOF, true},
		"no connection":             {rueidis.ErrClosing, true},
		"no node for the slot":      {rueidis.ErrNoSlot, true},
		"no such key":               {rueidis.Nil, false},
		"an entry that is no entry": {errors.New("cached product: proto: cannot parse"), false},
		"an error of ours":          {catalog.ErrFenced, false},
	} {
		if err := markUnavailable(test.err); errors.Is(err, catalog.ErrUnavailable) != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: markUnavailable = %v; want ErrUnavailable: %v", name, err, test.want)
		}
	}
	server := miniredis.RunT(t)
	o := rueidis.ClientOption{InitAddress: []string{server.Addr()}, DisableCache: true, DisableRetry: true}
	client, err := rueidis.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for reply, want := range map[string]bool{
		"LOADING Redis is loading the dataset in memory":                    true,
		"BUSY Redis is busy running a script":                               true,
		"MASTERDOWN Link with MASTER is down":                               true,
		"CLUSTERDOWN The cluster is down":                                   true,
		"TRYAGAIN Multiple keys request during rehashing of slot":           true,
		"READONLY You can't write against a read only replica.":             true,
		"NOREPLICAS Not enough good replicas to write.":                     true,
		"OOM command not allowed when used memory > 'maxmemory'.":           true,
		"MISCONF Redis is configured to save RDB snapshots":                 true,
		"NOAUTH Authentication required.":                                   true,
		"WRONGPASS invalid username-password pair or user is disabled.":     true,
		"NOPERM this user has no permissions to run the 'evalsha' command":  true,
		"WRONGTYPE Operation against a key holding the wrong kind of value": false,
		"ERR user_script:3: attempt to index a nil value":                   false,
		"NOSCRIPT No matching script.":                                      false,
		"CROSSSLOT Keys in request don't hash to the same slot":             false,
		"EXECABORT Transaction discarded because of previous errors.":       false,
		"BUSYKEY Target key name already exists.":                           false,
	} {
		server.SetError(reply)
		err := client.Do(t.Context(), client.B().Get().Key("key").Build()).Error()
		if err == nil {
			t.Fatalf("void: the server does not reply with %s", reply)
		}
		if err := markUnavailable(fmt.Errorf("read: %w", err)); errors.Is(err, catalog.ErrUnavailable) != want {
			t.Errorf("markUnavailable = %v; want ErrUnavailable: %v", err, want)
		}
	}
}
