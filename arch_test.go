package catalog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// imports says which of our packages each of our packages may import. Imports
// go one way: everything knows the root, services and engines know neither
// siblings nor each other, and cmd ties them together. A new package needs a
// line here, and so a reason.
var imports = map[string][]string{
	"catalog":                      {},
	"catalog/api":                  {},
	"catalog/api/catalog/v1":       {},
	"catalog/failpoint":            {}, // places at which tests kill a process
	"catalog/wire":                 {"catalog", "catalog/api", "catalog/api/catalog/v1"},
	"catalog/daemon":               {},
	"catalog/telemetry":            {"catalog"},
	"catalog/breaker":              {"catalog"},                    // what does not answer, a server or an engine, is left alone
	"catalog/rpc":                  {"catalog", "catalog/breaker"}, // what all gRPC servers and clients have: health, validation, metrics, statuses
	"catalog/web":                  {},
	"catalog/feed":                 {"catalog"},                                           // what gateway and reader pass on to those who follow changes
	"catalog/journal":              {"catalog", "catalog/api/catalog/v1", "catalog/wire"}, // what services that are not the writer read of the truth
	"catalog/gateway":              {"catalog", "catalog/api", "catalog/api/catalog/v1", "catalog/breaker", "catalog/failpoint", "catalog/feed", "catalog/journal", "catalog/rpc", "catalog/wire"},
	"catalog/writer":               {"catalog", "catalog/api/catalog/v1", "catalog/breaker", "catalog/failpoint", "catalog/telemetry", "catalog/wire"},
	"catalog/reader":               {"catalog", "catalog/api/catalog/v1", "catalog/breaker", "catalog/failpoint", "catalog/feed", "catalog/telemetry", "catalog/wire"},
	"catalog/kafka":                {"catalog", "catalog/wire"},
	"catalog/postgres":             {"catalog", "catalog/failpoint", "catalog/wire"},
	"catalog/mongo":                {"catalog", "catalog/wire"},
	"catalog/redis":                {"catalog", "catalog/wire"},
	"catalog/sqlite":               {"catalog", "catalog/failpoint", "catalog/wire"},
	"catalog/opensearch":           {"catalog", "catalog/breaker", "catalog/term", "catalog/wire"}, // an index for catalogues that outgrow one machine
	"catalog/term":                 {"catalog"},                                                    // by what products are found, in whatever index
	"catalog/search":               {"catalog", "catalog/term", "catalog/wire"},
	"catalog/embedded":             {},
	"catalog/client":               {"catalog", "catalog/api", "catalog/wire"},
	"catalog/catalogtest":          {"catalog", "catalog/reader", "catalog/wire", "catalog/writer"},
	"catalog/cmd/internal/service": {"catalog/api/catalog/v1", "catalog/breaker", "catalog/daemon", "catalog/gateway", "catalog/journal", "catalog/reader", "catalog/rpc", "catalog/telemetry", "catalog/web", "catalog/writer"},
	"catalog/cmd/gateway":          nil, // a main ties what it needs
	"catalog/cmd/writer":           nil,
	"catalog/cmd/reader":           nil,
	"catalog/cmd/catalog":          nil,
	"catalog/examples":             {},
	"catalog/bench":                nil, // measures parts and the whole
	"catalog/mutants":              {},  // plants bugs and runs the tests that catch them
	"catalog/catalogtest/freeport": {},
	"catalog/chaos":                {"catalog", "catalog/api", "catalog/api/catalog/v1", "catalog/catalogtest/freeport", "catalog/failpoint", "catalog/kafka", "catalog/rpc", "catalog/wire"},
	"catalog/e2e":                  {},
}

// drivers says who alone may import the modules of an engine.
var drivers = map[string][]string{
	"github.com/twmb/franz-go/pkg/kfake": {"catalog/embedded"},
	"github.com/twmb/franz-go":           {"catalog/kafka", "catalog/embedded"},
	"github.com/jackc/pgx":               {"catalog/postgres", "catalog/bench"}, // and tests
	"go.mongodb.org/mongo-driver":        {"catalog/mongo"},
	"github.com/redis/rueidis":           {"catalog/redis"},
	"modernc.org/sqlite":                 {"catalog/sqlite"},
	"github.com/blevesearch":             {"catalog/search", "catalog/term"}, // term has its tables of letters and plurals
	"github.com/labstack/echo":           {"catalog/gateway", "catalog/api", "catalog/bench"},
}

// stdlibOnly are the packages that import nothing but the standard library.
var stdlibOnly = []string{"catalog", "catalog/daemon", "catalog/failpoint", "catalog/web"}

// notIn says what the programs for production do not contain.
var notIn = map[string][]string{
	"catalog/cmd/gateway": {"catalog/embedded", "catalog/sqlite", "catalog/search", "catalog/opensearch", "catalog/postgres", "catalog/mongo", "catalog/redis", "modernc.org/sqlite", "github.com/twmb/franz-go/pkg/kfake", "github.com/blevesearch/bleve/v2"},
	"catalog/cmd/writer":  {"catalog/embedded", "catalog/sqlite", "catalog/search", "catalog/opensearch", "catalog/mongo", "catalog/redis", "modernc.org/sqlite", "github.com/twmb/franz-go/pkg/kfake", "github.com/blevesearch/bleve/v2"},
	"catalog/cmd/reader":  {"catalog/embedded", "catalog/sqlite", "catalog/postgres", "modernc.org/sqlite", "github.com/twmb/franz-go/pkg/kfake"},
}

type goPackage struct {
	ImportPath    string
	Imports, Deps []string
}

func listPackages(t *testing.T) map[string]goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]goPackage{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

func ours(path string) bool { return path == "catalog" || strings.HasPrefix(path, "catalog/") }

func TestArchitecture(t *testing.T) {
	all := listPackages(t)
	for path, p := range all {
		allowed, known := imports[path]
		if !known {
			t.Errorf("%s is not in the table of imports", path)
		}
		for _, imported := range p.Imports {
			if ours(imported) && allowed != nil && !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s", path, imported)
			}
			for driver, owners := range drivers {
				if within(imported, driver) && !slices.Contains(owners, path) {
					t.Errorf("%s imports %s, which is for %v", path, imported, owners)
				}
			}
			if slices.Contains(stdlibOnly, path) && strings.Contains(strings.Split(imported, "/")[0], ".") {
				t.Errorf("%s imports %s, which is not of the standard library", path, imported)
			}
		}
	}
	for program, foreign := range notIn {
		for _, path := range foreign {
			if slices.Contains(all[program].Deps, path) {
				t.Errorf("%s contains %s", program, path)
			}
		}
	}
	for path := range imports {
		if _, there := all[path]; !there {
			t.Errorf("the table of imports has %s, which is not there", path)
		}
	}
}

func within(path, module string) bool {
	return path == module || strings.HasPrefix(path, module+"/")
}
