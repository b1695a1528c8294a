package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"catalog"
)

// unavailableReplies lists the first words of error replies with which a server says
// that it cannot work at the moment, or not for this user. All other error replies are
// about one command or one key.
var unavailableReplies = []string{
	"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", // starting, in a long script, or failing over
	"READONLY", "NOREPLICAS", "OOM", "MISCONF", // refuses writes, of which a lease needs one a second
	"NOAUTH", "WRONGPASS", "NOPERM", // refuses this user: an operator must act
}

// markUnavailable adds catalog.ErrUnavailable to an error that means that Redis cannot be
// reached or cannot work at the moment. The time of the caller says nothing about Redis.
func markUnavailable(err error) error {
	var (
		reply     *rueidis.RedisError
		netErr    net.Error
		available = true
	)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	case errors.As(err, &reply):
		word, _, _ := strings.Cut(reply.Error(), " ")
		available = !slices.Contains(unavailableReplies, word)
	case errors.As(err, &netErr), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, rueidis.ErrClosing), errors.Is(err, rueidis.ErrNoSlot):
		available = false
	}
	if !available {
		return fmt.Errorf("%w: %w", catalog.ErrUnavailable, err)
	}
	return err
}
