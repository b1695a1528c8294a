package mongo

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"catalog"
)

// TestMarkUnavailable lists the errors of the driver. Only those that mean that the
// server cannot be reached or cannot work make callers wait and breakers probe.
func TestMarkUnavailable(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"no error":                     {nil, false},
		"canceled by the caller":       {context.Canceled, false},
		"no server selected":           {topology.ServerSelectionError{Wrapped: errors.New("no server")}, true},
		"connection broken":            {topology.ConnectionError{Wrapped: errors.New("reset")}, true},
		"network error":                {mongo.CommandError{Labels: []string{"NetworkError"}}, true},
		"no longer the primary":        {mongo.CommandError{Code: 10107, Labels: []string{"RetryableWriteError"}}, true},
		"the server is too slow":       {mongo.CommandError{Code: 50}, true},
		"an internal error":            {mongo.CommandError{Code: 1}, true},
		"a bad value":                  {mongo.CommandError{Code: 2, Message: "bad value"}, false},
		"a document that is too large": {mongo.CommandError{Code: 10334, Message: "too large"}, false},
		"a duplicate key":              {mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: 11000}}}, false},
		"no document":                  {mongo.ErrNoDocuments, false},
		"an error of ours":             {catalog.ErrNotFound, false},
	} {
		if err := markUnavailable(test.err); errors.Is(err, catalog.ErrUnavailable) != test.want || test.err != nil && fmt.Sprint(err) == "" {
			t.Errorf("%s: markUnavailable = %v; want ErrUnavailable: %v", name, err, test.want)
		}
	}
}
