package catalog_test

import (
	"cmp"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imports lists the packages of this module that each package may import, by
// their folders; "." is the root and "*" allows every package. Imports go one
// way: every package may import the root, services and engines import neither
// their siblings nor each other, and cmd wires them together. A new package
// needs a line here, and so a reason.
var imports = map[string]string{
	// The domain and its contracts.
	".":              "",
	"eventlog":       ".", // the contract of log and store
	"api":            "",
	"api/catalog/v1": "",
	"client":         ". api internal/wire",
	"web":            "",

	// The three services.
	"gateway": ". api api/catalog/v1 eventlog internal/breaker internal/changefeed internal/failpoint internal/journal internal/logging internal/memory internal/metrics internal/productfile internal/rpc internal/telemetry internal/wire",
	"writer":  ". api/catalog/v1 eventlog internal/breaker internal/cpu internal/failpoint internal/logging internal/memory internal/metrics internal/telemetry internal/wire",
	"reader":  ". api/catalog/v1 internal/breaker internal/changefeed internal/memory internal/metrics internal/wire reader/audit reader/indexer reader/projection",

	// Parts of the reader.
	"reader/projection":          ". eventlog internal/failpoint internal/metrics internal/telemetry",
	"reader/indexer":             ". eventlog internal/failpoint internal/memory internal/telemetry reader/projection", // shares the event consumer and the watermarks
	"reader/audit":               ". internal/failpoint internal/wire",
	"reader/internal/readertest": ". engine/sqlite eventlog internal/wire reader reader/indexer reader/projection", // fakes for the tests of the reader packages

	// Engines: each is the only importer of its driver.
	"engine/kafka":                   ". eventlog internal/cpu internal/memory internal/metrics internal/telemetry internal/wire",
	"engine/postgres":                ". eventlog internal/failpoint internal/memory internal/metrics internal/telemetry internal/wire",
	"engine/sqlite":                  ". eventlog internal/failpoint internal/wire",
	"engine/mongo":                   ". eventlog internal/memory internal/metrics internal/telemetry internal/wire",
	"engine/redis":                   ". internal/metrics internal/telemetry internal/wire",
	"engine/bleve":                   ". eventlog internal/cpu internal/failpoint internal/memory internal/textsearch internal/wire",
	"engine/opensearch":              ". eventlog internal/breaker internal/telemetry internal/textsearch internal/wire", // the index of catalogues larger than one machine
	"engine/embedded":                "",
	"engine/enginetest":              ". eventlog internal/wire reader reader/projection writer", // the suites that engines pass
	"engine/enginetest/freeport":     "",
	"engine/enginetest/pgschema":     "",
	"engine/enginetest/rediscluster": "engine/enginetest/freeport",

	// Packages that several of the above share.
	"internal/archive":             ". api/catalog/v1 eventlog internal/wire", // moves old events of the journal to files
	"internal/breaker":             ". internal/metrics",                      // circuit breakers for servers and engines
	"internal/buildinfo":           "",
	"internal/changefeed":          ". internal/cpu internal/spelling", // recent changes, shared by all subscribers of a gateway or reader
	"internal/configdoc":           "",                                 // generates docs/configuration.md from the flags of the programs
	"internal/cpu":                 "",                                 // limits of CPU-bound work, and batches of what is ready together
	"internal/daemon":              "",
	"internal/engines":             ". engine/kafka internal/daemon internal/memory internal/metrics",                                                        // opens Kafka, for every program
	"internal/engines/store":       "engine/postgres internal/engines",                                                                                       // opens PostgreSQL, for the writer
	"internal/engines/query":       "engine/bleve engine/mongo engine/opensearch engine/redis internal/engines internal/textsearch reader reader/projection", // opens the reader's engines
	"internal/engines/local":       "*",                                                                                                                      // opens all engines, or a data folder in their place, for cmd/catalog
	"internal/errordoc":            ".",                                                                                                                      // generates docs/errors.md from the error model
	"internal/failpoint":           "",                                                                                                                       // places at which tests kill a process
	"internal/journal":             ". api/catalog/v1 internal/rpc internal/wire",                                                                            // client of the writer's journal service
	"internal/logging":             "",                                                                                                                       // text and JSON logs, and sampling
	"internal/memory":              "internal/metrics",                                                                                                       // bounds the memory of the queues and calls of a process
	"internal/metricdoc":           "",                                                                                                                       // generates docs/metrics.md from the source
	"internal/metrics":             "",                                                                                                                       // buckets, exemplars and registration of the metrics of all packages
	"internal/metrics/metricstest": "",                                                                                                                       // reads metrics in tests
	"internal/productfile":         ". internal/wire",                                                                                                        // reads and writes products as CSV and NDJSON
	"internal/repair":              ". eventlog",                                                                                                             // makes store and topics consistent
	"internal/rpc":                 ". internal/breaker internal/metrics",                                                                                    // health, validation, metrics and statuses of every gRPC server and client
	"internal/spelling":            "",                                                                                                                       // decides which texts are the same facet value, for search and change feeds
	"internal/telemetry":           ". eventlog internal/buildinfo internal/logging internal/metrics",
	"internal/textsearch":          ". internal/spelling", // text analysis and query plans, shared by the indexes
	"internal/wire":                ". api api/catalog/v1 eventlog",

	// Programs, and what they share.
	"cmd/internal/program": "api/catalog/v1 gateway internal/breaker internal/buildinfo internal/daemon internal/engines internal/journal internal/memory internal/metrics internal/rpc internal/telemetry reader reader/projection web writer",
	"cmd/catalog":          "*",
	"cmd/gateway":          "*",
	"cmd/reader":           "*",
	"cmd/writer":           "*",

	// Tests and tools.
	"examples":     "",
	"test/bench":   "*", // measures parts and the whole system
	"test/chaos":   ". api api/catalog/v1 engine/enginetest/freeport engine/kafka eventlog internal/failpoint internal/journal internal/rpc internal/wire",
	"test/e2e":     "",
	"test/mutants": "",
	"test/scale":   ". engine/enginetest/freeport engine/enginetest/pgschema engine/kafka eventlog internal/daemon internal/wire",
}

// drivers lists the packages that may import each driver module. Test files
// are exempt.
var drivers = map[string]string{
	"github.com/twmb/franz-go/pkg/kfake": "engine/embedded",
	"github.com/twmb/franz-go":           "engine/embedded engine/kafka test/bench", // bench compares with what the engines do alone
	"github.com/jackc/pgx":               "engine/postgres engine/enginetest/pgschema test/bench",
	"go.mongodb.org/mongo-driver":        "engine/mongo test/bench",
	"github.com/redis/rueidis":           "engine/redis",
	"modernc.org/sqlite":                 "engine/sqlite test/bench",
	"github.com/blevesearch":             "engine/bleve internal/textsearch", // textsearch uses its tables of letters and plurals
	"github.com/labstack/echo":           "api gateway test/bench",
}

// stdlibOnly lists the packages that import nothing but the standard library
// and each other.
var stdlibOnly = ". internal/buildinfo internal/daemon internal/failpoint internal/logging web"

// notIn lists the packages and modules that a program must not contain: the
// embedded engines belong to cmd/catalog alone.
var notIn = map[string]string{
	"cmd/gateway": "engine/bleve engine/embedded engine/mongo engine/opensearch engine/postgres engine/redis engine/sqlite github.com/blevesearch/bleve/v2 github.com/twmb/franz-go/pkg/kfake modernc.org/sqlite",
	"cmd/writer":  "engine/bleve engine/embedded engine/mongo engine/opensearch engine/redis engine/sqlite github.com/blevesearch/bleve/v2 github.com/twmb/franz-go/pkg/kfake modernc.org/sqlite",
	"cmd/reader":  "engine/embedded engine/postgres engine/sqlite github.com/twmb/franz-go/pkg/kfake modernc.org/sqlite",
}

// TestArchitecture reads imports from the source files, not from go list:
// the go command then knows the files that the result depends on, and runs the
// test again when one of them changes.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	module := modulePath(t)
	packages := parseImports(t, module)
	for pkg, imported := range packages {
		allowed, known := imports[pkg]
		if !known {
			t.Errorf("package %s is not in the table of imports", pkg)
			continue
		}
		for _, i := range imported {
			checkImport(t, pkg, allowed, i)
		}
	}
	for pkg := range imports {
		if packages[pkg] == nil {
			t.Errorf("the table of imports has %s, which does not exist", pkg)
		}
	}
	for program, forbidden := range notIn {
		for _, dependency := range dependencies(packages, program) {
			for f := range strings.FieldsSeq(forbidden) {
				if within(dependency.path, f) {
					t.Errorf("%s contains %s (imported by %s)", program, dependency.path, dependency.by)
				}
			}
		}
	}
}

func checkImport(t *testing.T, pkg, allowed, imported string) {
	t.Helper()
	_, ours := imports[imported]
	if ours && allowed != "*" && !contains(allowed, imported) {
		t.Errorf("%s imports %s, which its line in the table of imports does not allow", pkg, imported)
	}
	for driver, owners := range drivers {
		if within(imported, driver) && !contains(owners, pkg) {
			t.Errorf("%s imports %s, which only %s may import", pkg, imported, owners)
		}
	}
	if !ours && contains(stdlibOnly, pkg) && strings.Contains(strings.Split(imported, "/")[0], ".") {
		t.Errorf("%s imports %s, which is not in the standard library", pkg, imported)
	}
}

// modulePath returns the module path in go.mod.
func modulePath(t *testing.T) string {
	t.Helper()
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		if p, ok := strings.CutPrefix(line, "module "); ok {
			return strings.Trim(strings.TrimSpace(p), `"`)
		}
	}
	t.Fatal("go.mod has no module line")
	return ""
}

// parseImports returns the sorted imports of every package of the module, by
// folder. Imports of this module are folders, too. Files of all platforms and
// build tags count, except tests and those that no build includes.
func parseImports(t *testing.T, module string) map[string][]string {
	t.Helper()
	packages := map[string][]string{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && skipFolder(name):
			return fs.SkipDir
		case d.IsDir(), !strings.HasSuffix(name, ".go"):
			return nil
		}
		pkg := path.Dir(filepath.ToSlash(name))
		packages[pkg] = append([]string{}, packages[pkg]...)
		if strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil || ignored(file) {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if within(imported, module) {
				imported = cmp.Or(strings.TrimPrefix(strings.TrimPrefix(imported, module), "/"), ".")
			}
			packages[pkg] = append(packages[pkg], imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, list := range packages {
		slices.Sort(list)
		packages[pkg] = slices.Compact(list)
	}
	return packages
}

// skipFolder reports whether the go command ignores the folder, or it is a
// module of its own.
func skipFolder(name string) bool {
	base := filepath.Base(name)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

// ignored reports whether the file needs the build tag "ignore".
func ignored(file *ast.File) bool {
	for _, group := range file.Comments {
		for _, c := range group.List {
			if x, err := constraint.Parse(c.Text); err == nil && group.Pos() < file.Package {
				return x.Eval(func(string) bool { return true }) && !x.Eval(func(tag string) bool { return tag != "ignore" })
			}
		}
	}
	return false
}

// dependency is a package that a program contains, and one that imports it.
type dependency struct{ path, by string }

// dependencies returns what the program imports, directly and through packages
// of this module.
func dependencies(packages map[string][]string, program string) []dependency {
	var found []dependency
	seen := map[string]bool{program: true}
	for queue := []string{program}; len(queue) > 0; queue = queue[1:] {
		for _, imported := range packages[queue[0]] {
			if !seen[imported] {
				seen[imported] = true
				found = append(found, dependency{imported, queue[0]})
				queue = append(queue, imported)
			}
		}
	}
	return found
}

func contains(list, name string) bool { return slices.Contains(strings.Fields(list), name) }

func within(path, module string) bool {
	return path == module || strings.HasPrefix(path, module+"/")
}
