package daemon

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
)

const planted = "pl4nted-s3cret"

func TestSecrets(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"a URL":                           {"-redis.url", "redis://user:" + planted + "@host:6379/0"},
		"a URL after =":                   {"--mongo.url=mongodb://user:" + planted + "@host/?tls=true"},
		"a URL with a bad port":           {"-redis.url", "redis://user:" + planted + "@host:port"},
		"a URL with a bad escape":         {"-redis.url", "redis://user:%" + planted + "@host"},
		"the second URL of a list":        {"-opensearch.url", "http://a:9200,http://user:" + planted + "@b:9200"},
		"an address with a password":      {"-kafka.brokers", "user:" + planted + "@host:9092"},
		"a parameter":                     {"-postgres.url", "postgres://host/db?password=" + planted},
		"a list of key=value":             {"-postgres.url", "host=h password=" + planted + " user=u"},
		"the value of a flag for secrets": {"-kafka.hmac-key", planted},
		"an argument that is no flag":     {"postgres://user:" + planted + "@host/db"},
	} {
		t.Run(name+" is hidden in texts and on the command line", func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			text := `{"err":"dial ` + strings.Join(args, " ") + `"}`
			if _, err := FindSecrets(args, nil).Writer(&log).Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(log.String(), planted) {
				t.Errorf("the log has %s", log.String())
			}
			page := httptest.NewRecorder()
			cmdline(append([]string{"/bin/reader"}, args...))(page, nil)
			if body := page.Body.String(); strings.Contains(body, planted) || !strings.HasPrefix(body, "/bin/reader\x00") {
				t.Errorf("/debug/pprof/cmdline = %q", body)
			}
		})
	}
	t.Run("the environment is searched too", func(t *testing.T) {
		t.Parallel()
		s := FindSecrets(nil, []string{"CATALOG_REDIS_URL=redis://u:" + planted + "@h", "HOME=/root"})
		if got := s.Hide("no route to " + planted + " from /root"); got != "no route to xxxxx from /root" {
			t.Errorf("Hide = %q", got)
		}
	})
	t.Run("a short password that is a word is hidden only where it is a password", func(t *testing.T) {
		t.Parallel()
		s := FindSecrets([]string{"-postgres.url", "postgres://catalog:catalog@host/db"}, nil)
		if got := s.Hide("catalog is up, postgres://catalog:catalog@host"); got != "catalog is up, postgres://catalog:xxxxx@host" {
			t.Errorf("Hide = %q", got)
		}
	})
	t.Run("a password with escapes is hidden in each of its forms", func(t *testing.T) {
		t.Parallel()
		s := FindSecrets([]string{"-redis.url", `redis://u:pl4nted%2Fs3cret%22@h`}, nil)
		if got := s.Hide(`pl4nted/s3cret" pl4nted/s3cret\" pl4nted%2Fs3cret%22`); strings.Contains(got, "pl4nted") {
			t.Errorf("Hide = %q", got)
		}
	})
}
