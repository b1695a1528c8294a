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
	"catalog":                            {},
	"catalog/eventlog":                   {"catalog"}, // the contract of log and store
	"catalog/api":                        {},
	"catalog/api/catalog/v1":             {},
	"catalog/internal/failpoint":         {}, // places at which tests kill a process
	"catalog/internal/wire":              {"catalog", "catalog/eventlog", "catalog/api", "catalog/api/catalog/v1"},
	"catalog/internal/daemon":            {},
	"catalog/internal/telemetry":         {"catalog"},
	"catalog/internal/breaker":           {"catalog"},                             // what does not answer, a server or an engine, is left alone
	"catalog/internal/rpc":               {"catalog", "catalog/internal/breaker"}, // what all gRPC servers and clients have: health, validation, metrics, statuses
	"catalog/web":                        {},
	"catalog/internal/changefeed":        {"catalog"},                                                    // what gateway and reader pass on to those who follow changes
	"catalog/internal/journal":           {"catalog", "catalog/api/catalog/v1", "catalog/internal/wire"}, // what services that are not the writer read of the truth
	"catalog/gateway":                    {"catalog", "catalog/eventlog", "catalog/api", "catalog/api/catalog/v1", "catalog/internal/breaker", "catalog/internal/failpoint", "catalog/internal/changefeed", "catalog/internal/journal", "catalog/internal/rpc", "catalog/internal/wire"},
	"catalog/writer":                     {"catalog", "catalog/eventlog", "catalog/api/catalog/v1", "catalog/internal/breaker", "catalog/internal/failpoint", "catalog/internal/telemetry", "catalog/internal/wire"},
	"catalog/reader":                     {"catalog", "catalog/eventlog", "catalog/api/catalog/v1", "catalog/internal/breaker", "catalog/internal/failpoint", "catalog/internal/changefeed", "catalog/internal/telemetry", "catalog/internal/wire"},
	"catalog/engine/kafka":               {"catalog", "catalog/eventlog", "catalog/internal/wire"},
	"catalog/engine/postgres":            {"catalog", "catalog/eventlog", "catalog/internal/failpoint", "catalog/internal/wire"},
	"catalog/engine/mongo":               {"catalog", "catalog/eventlog", "catalog/internal/wire"},
	"catalog/engine/redis":               {"catalog", "catalog/internal/wire"},
	"catalog/engine/sqlite":              {"catalog", "catalog/eventlog", "catalog/internal/failpoint", "catalog/internal/wire"},
	"catalog/engine/opensearch":          {"catalog", "catalog/eventlog", "catalog/internal/breaker", "catalog/internal/textsearch", "catalog/internal/wire"}, // an index for catalogues that outgrow one machine
	"catalog/internal/textsearch":        {"catalog"},                                                                                                         // by what products are found, in whatever index
	"catalog/engine/bleve":               {"catalog", "catalog/eventlog", "catalog/internal/textsearch", "catalog/internal/wire"},
	"catalog/engine/embedded":            {},
	"catalog/client":                     {"catalog", "catalog/api", "catalog/internal/wire"},
	"catalog/engine/enginetest":          {"catalog", "catalog/eventlog", "catalog/reader", "catalog/internal/wire", "catalog/writer"},
	"catalog/cmd/internal/service":       {"catalog/api/catalog/v1", "catalog/internal/breaker", "catalog/internal/daemon", "catalog/gateway", "catalog/internal/journal", "catalog/reader", "catalog/internal/rpc", "catalog/internal/telemetry", "catalog/web", "catalog/writer"},
	"catalog/cmd/gateway":                nil, // a main ties what it needs
	"catalog/cmd/writer":                 nil,
	"catalog/cmd/reader":                 nil,
	"catalog/cmd/catalog":                nil,
	"catalog/examples":                   {},
	"catalog/test/bench":                 nil, // measures parts and the whole
	"catalog/test/mutants":               {},  // plants bugs and runs the tests that catch them
	"catalog/engine/enginetest/freeport": {},
	"catalog/test/chaos":                 {"catalog", "catalog/eventlog", "catalog/api", "catalog/api/catalog/v1", "catalog/engine/enginetest/freeport", "catalog/internal/failpoint", "catalog/engine/kafka", "catalog/internal/rpc", "catalog/internal/wire"},
	"catalog/test/e2e":                   {},
}

// drivers says who alone may import the modules of an engine.
var drivers = map[string][]string{
	"github.com/twmb/franz-go/pkg/kfake": {"catalog/engine/embedded"},
	"github.com/twmb/franz-go":           {"catalog/engine/kafka", "catalog/engine/embedded"},
	"github.com/jackc/pgx":               {"catalog/engine/postgres", "catalog/test/bench"}, // and tests
	"go.mongodb.org/mongo-driver":        {"catalog/engine/mongo"},
	"github.com/redis/rueidis":           {"catalog/engine/redis"},
	"modernc.org/sqlite":                 {"catalog/engine/sqlite"},
	"github.com/blevesearch":             {"catalog/engine/bleve", "catalog/internal/textsearch"}, // term has its tables of letters and plurals
	"github.com/labstack/echo":           {"catalog/gateway", "catalog/api", "catalog/test/bench"},
}

// stdlibOnly are the packages that import nothing but the standard library.
var stdlibOnly = []string{"catalog", "catalog/internal/daemon", "catalog/internal/failpoint", "catalog/web"}

// notIn says what the programs for production do not contain.
var notIn = map[string][]string{
	"catalog/cmd/gateway": {"catalog/engine/embedded", "catalog/engine/sqlite", "catalog/engine/bleve", "catalog/engine/opensearch", "catalog/engine/postgres", "catalog/engine/mongo", "catalog/engine/redis", "modernc.org/sqlite", "github.com/twmb/franz-go/pkg/kfake", "github.com/blevesearch/bleve/v2"},
	"catalog/cmd/writer":  {"catalog/engine/embedded", "catalog/engine/sqlite", "catalog/engine/bleve", "catalog/engine/opensearch", "catalog/engine/mongo", "catalog/engine/redis", "modernc.org/sqlite", "github.com/twmb/franz-go/pkg/kfake", "github.com/blevesearch/bleve/v2"},
	"catalog/cmd/reader":  {"catalog/engine/embedded", "catalog/engine/sqlite", "catalog/engine/postgres", "modernc.org/sqlite", "github.com/twmb/franz-go/pkg/kfake"},
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
