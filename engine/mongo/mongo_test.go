package mongo_test

import (
	"strconv"
	"strings"
	"testing"

	"catalog/engine/mongo"
)

func TestOpen_errors(t *testing.T) {
	for i, url := range []string{"", "mongodb://user:secret@127.0.0.1:1", "mongodb://user:secret@127.0.0.1:1,127.0.0.1:2/?replicaSet=x", "postgres://user:secret@127.0.0.1", "mongodb://user:secret@:::"} {
		t.Run("one line names the flag, without the password, case "+strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			_, err := mongo.Open(t.Context(), mongo.Config{URL: url})
			if err == nil || !strings.Contains(err.Error(), "-mongo.url") || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("Open(%q) = %v; want one line with -mongo.url and without the password", url, err)
			}
		})
	}
}
