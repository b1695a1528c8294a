# make help lists the targets. None of them changes anything outside of this folder.
export GOBIN := $(CURDIR)/bin
# The PATH in "make module PATH=…" is not the search path of programs: take that from the environment.
ifeq ($(origin PATH),command line)
module_path := $(PATH)
override PATH := $(shell echo "$$PATH"):/usr/local/go/bin:/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin
endif
override export PATH := $(GOBIN):$(PATH)

# Groups begin with a line "##@ title".
.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z_ -]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run

.PHONY: compose-up
compose-up: ## Docker: build and start the complete system (deploy/.env selects the profile)
	docker compose -f deploy/compose.yaml up --build --detach --wait

.PHONY: compose-down
compose-down: ## Docker: stop it; the data are kept
	docker compose -f deploy/compose.yaml -f deploy/compose.dev.yaml down

.PHONY: docker_dev
docker_dev: ## Docker: the same with hot reload and a debugger port for each service
	docker compose -f deploy/compose.yaml -f deploy/compose.dev.yaml up --build

.PHONY: local
local: ## without Docker: engines as processes, services with hot reload; Ctrl-C ends all of them
	deploy/local up

.PHONY: run_gateway run_writer run_reader
run_gateway: ## without Docker: the gateway alone, after starting the engines
run_writer: ## the writer
run_reader: ## the reader
run_gateway run_writer run_reader:
	deploy/local run $(@:run_%=%)

.PHONY: local-down
local-down: ## stop the engines that make run_… or make migrate_up started
	deploy/local down

# With CATALOG_KAFKA_BROKERS and CATALOG_POSTGRES_URL in the environment, these two are migrated.
.PHONY: migrate_up
migrate_up: ## create and update topics and tables
	@if [ -n "$$CATALOG_POSTGRES_URL" ]; then go run ./cmd/catalog migrate; else deploy/local engines; fi

.PHONY: migrate_down
migrate_down: ## delete the data of make local, to start again: CONFIRM=delete-all-data
	@[ "$(CONFIRM)" = delete-all-data ] || { echo "Migrations only go forward: a program can be replaced by the version before it without a change of the tables (docs/adr/0048-compose.md)."; \
	echo "To delete all products of make local, and its topics, tables and index: make migrate_down CONFIRM=delete-all-data"; \
	echo "Of the Compose file: docker compose -f deploy/compose.yaml down --volumes"; exit 1; }
	deploy/local down -clean

.PHONY: mongo
mongo: ## explain what replaces the initialisation of MongoDB
	@echo "Nothing has to be initialised: the reader creates the collections and indexes of its view at its start."
	@echo "In the Compose file, deploy/mongo/init.js makes MongoDB a replica set and creates its users."

.PHONY: swagger
swagger: ## serve the documentation of the API and open it
	deploy/dev/swagger

# The gateway's admin port is 9101, the writer's 9102, the reader's 9103: make pprof_heap ADMIN=127.0.0.1:9102
ADMIN ?= 127.0.0.1:9101
PPROF ?= go tool pprof -http 127.0.0.1:8006
pprof_seconds ?= 10

.PHONY: pprof_heap
pprof_heap: ## show in a browser which code allocated the memory in use; ADMIN=host:port of a service
	$(PPROF) http://$(ADMIN)/debug/pprof/heap

.PHONY: pprof_cpu
pprof_cpu: ## where the processor's time goes in the next 10 seconds
	$(PPROF) "http://$(ADMIN)/debug/pprof/profile?seconds=$(pprof_seconds)"

.PHONY: pprof_allocs
pprof_allocs: ## which code allocates memory in the next 10 seconds
	$(PPROF) "http://$(ADMIN)/debug/pprof/allocs?seconds=$(pprof_seconds)"

.PHONY: compose-check
compose-check: build ## check the Compose files without Docker
	go run -C tools ./composecheck
	go test -C tools ./composecheck

.PHONY: compose-run
compose-run: build ## start the programs as processes with the settings of the Compose file; write and read
	go run -C tools ./composecheck -run

##@ Build and test

.PHONY: build
build: ## build the four programs into bin/
	go build -o bin/ ./cmd/...

.PHONY: test
test: ## run all tests that need nothing but Go (5 minutes on two cores)
	go test -race ./...

# Packages without a real engine, and the end-to-end tests of catalog up, are the same as in make test. The
# end-to-end tests run alone: they measure times on the engines.
real_e2e = $(shell sed -nE 's/^func (Test[A-Za-z_]*).*/\1/p' test/e2e/*_real_test.go | paste -sd '|')
.PHONY: test-real
test-real: ## run the tests of engines and services on real engines (start them with make engines-up)
	@test -e .engines/env || { echo "no engines: run make engines-up first; it also takes addresses from the environment"; exit 1; }
	. .engines/env && go test -race -timeout 30m -tags real $$(go list ./engine/... ./reader/... ./writer/... | grep -v /bleve)
	. .engines/env && go test -race -timeout 30m -tags real -run '^($(real_e2e))$$' ./test/e2e

.PHONY: mutants
mutants: ## plant bugs, one at a time, and check that a test catches each
	go run ./test/mutants

# CHAOS='-commands 100000' makes a longer run; go run ./test/chaos -h lists the flags.
.PHONY: chaos
chaos: ## kill, freeze and cut off every part of the system under load, and compare all stores
	go run ./test/chaos -network 3 -freezes 5 -pairs 5 -disks 1 -truncations 2 $(CHAOS)

# Needs spin (apt-get install spin) and gcc.
.PHONY: spec
spec: ## check the models of the write path and the cache exhaustively, and that a planted bug fails (8 minutes of one core)
	docs/spec/check

.PHONY: nightly
nightly: engines-up ## long runs: full-size randomised tests, 100,000 chaos commands, mutants, all alerts (2 hours)
	CATALOG_TEST_FULL=1 go test -race -count=1 -timeout 60m ./...
	CATALOG_TEST_FULL=1 $(MAKE) test-real
	go run ./test/chaos -commands 100000 -rate 450 -products 1500
	go run ./test/chaos -commands 3000 -kills 0 -crashes 3
	go run ./test/chaos -commands 20000 -kills 0 -network 6 -freezes 10 -pairs 20 -disks 2 -truncations 4
	go run ./test/chaos -attacks
	go run ./test/mutants
	docs/spec/check -long
	. .engines/env && CATALOG_TEST_ALERTS=1 go test -count=1 -timeout 30m -tags real -run TestMonitoring ./test/e2e
	$(MAKE) compose-run
	$(MAKE) bench BENCH='-only traces,shares'

# BENCH='-only posts -rounds 1' measures a part; go run ./test/bench -h lists the flags.
.PHONY: bench
bench: ## measure the system beside other programs in turn, on the engines of make engines-up (10 to 15 minutes)
	if [ -e .engines/env ]; then . .engines/env; fi; go run ./test/bench $(BENCH)

.PHONY: bench-compare
bench-compare: ## print what changed between two results by more than the spread of their rounds: A=FILE B=FILE
	@go run ./test/bench -compare $(A) $(B)

.PHONY: field-recipe
field-recipe: ## add a field to a scratch copy by the recipe, run its tests, count the files
	go run -C tools ./addfield

##@ Engines for tests, without containers

.PHONY: engines-up
engines-up: ## start Kafka, PostgreSQL, Redis, MongoDB stand-ins, OpenSearch, Prometheus on loopback
	ENGINES_KAFKA_SESSION_MS=9000 deploy/engines/up

.PHONY: engines-down
engines-down: ## stop them
	deploy/engines/down

##@ Source and generated files

.PHONY: tools
tools: ## install the pinned tools into bin/
	go install -C tools tool

.PHONY: generate
generate: ## regenerate the generated code
	go generate ./...

.PHONY: module
module: ## change the import path of the module: make module PATH=example.org/you/catalog
	go run -C tools ./module $(module_path)
	@command -v buf >/dev/null && command -v protoc-gen-go >/dev/null && command -v protoc-gen-go-grpc >/dev/null || \
		go install -C tools $$(cd tools && go list tool | grep -E '/(buf|protoc-gen-go|protoc-gen-go-grpc)$$')
	cd api && buf generate
	go build ./...

.PHONY: fmt
fmt: ## format Go and protobuf
	golangci-lint fmt
	cd api && buf format -w --path catalog

.PHONY: lint
lint: ## run the linters
	golangci-lint run
	golangci-lint run --build-tags real ./engine/...
	cd api && buf lint

.PHONY: verify
verify: generate ## fail when generated code or go.mod is out of date
	cd api && buf lint && buf format -d --exit-code --path catalog
	go mod tidy -diff
	git diff --exit-code --stat -- api docs examples go.mod go.sum

# The checks of chart, contracts and workflows have a module of their own: Helm, the types of Kubernetes and oasdiff
# take minutes to build, and no other part needs them.
.PHONY: chart-check
chart-check: ## lint and render the Helm chart, and hold the objects against Kubernetes' types and rules
	go run -C tools/checks ./chartcheck
	go test -C tools/checks ./chartcheck

.PHONY: chart-write
chart-write: ## write the golden renderings and the table of values after a change of the chart
	go run -C tools/checks ./chartcheck -write

.PHONY: api-compat
api-compat: ## compare the contracts with those of the last release: fails on a breaking change
	cd api && buf breaking --path catalog --against baseline/catalog.binpb
	cd tools/checks && go tool oasdiff breaking ../../api/baseline/openapi.yaml ../../api/openapi.yaml --severity-levels ../../api/baseline/oasdiff-severity.txt --fail-on WARN

.PHONY: baseline
baseline: ## store the present contracts as those of the last release; run it when a release is tagged
	cd api && buf build --path catalog --exclude-source-info -o baseline/catalog.binpb
	cp api/openapi.yaml api/baseline/openapi.yaml

.PHONY: workflow-check
workflow-check: ## check the GitHub workflows
	cd tools/checks && go tool actionlint ../../.github/workflows/*.yaml

# UPGRADE='-previous REVISION' names the previous version; the default is the last tag.
.PHONY: upgrade-test
upgrade-test: ## run two versions side by side under load, in every order; no request may fail
	go run ./test/chaos -upgrade $(UPGRADE)

# Dashboards, alerts and their checks.
.PHONY: dashboards
dashboards: ## generate the Grafana dashboards from tools/dashboards
	go run -C tools ./dashboards

.PHONY: check-rules
check-rules: ## check and test the alerts, and the settings of Prometheus and Alertmanager (installed by make engines-up)
	promtool check config deploy/prometheus/prometheus.yml
	promtool test rules deploy/prometheus/tests/*_test.yml

# Images: see deploy/images. They need root, buildah, podman and runc, and engines (make engines-up).
.PHONY: images
images: ## build the four images, check them, and serve a write and a read from containers
	deploy/images/check

.PHONY: sbom
sbom: build ## write the modules of each program to bin/PROGRAM.cdx.json (CycloneDX); needs make tools
	for p in gateway writer reader catalog; do cyclonedx-gomod bin -json -std -output bin/$$p.cdx.json bin/$$p || exit 1; done
