# make help lists the targets. None of them changes anything outside of this folder.
export GOBIN := $(CURDIR)/bin
# The PATH in "make module PATH=…" is not the search path of programs: take that from the environment.
ifeq ($(origin PATH),command line)
module_path := $(PATH)
override PATH := $(shell echo "$$PATH"):/usr/local/go/bin:/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin
endif
override export PATH := $(GOBIN):$(PATH)

.PHONY: help
help: ## list the targets
	@grep -Eh '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## build the four programs into bin/
	go build -o bin/ ./cmd/...

.PHONY: test
test: ## run all tests that need nothing but Go (5 minutes on two cores)
	go test -race ./...

# The e2e tests run alone: they measure times on the engines.
.PHONY: test-real
test-real: ## run all tests, on real engines too (start them with make engines-up)
	@test -e .engines/env || { echo "no engines: run make engines-up first; it also takes addresses from the environment"; exit 1; }
	. .engines/env && go test -race -timeout 30m -tags real $$(go list ./... | grep -v '/test/e2e$$')
	. .engines/env && go test -race -timeout 30m -tags real ./test/e2e

.PHONY: mutants
mutants: ## plant bugs, one at a time, and check that a test catches each
	go run ./test/mutants

# CHAOS='-commands 100000' makes a longer run; go run ./test/chaos -h lists the flags.
.PHONY: chaos
chaos: ## kill every part of the system under load and compare all stores
	go run ./test/chaos $(CHAOS)

.PHONY: nightly
nightly: ## long runs: full-size randomised tests, 100,000 chaos commands, mutants (2 hours)
	CATALOG_TEST_FULL=1 go test -race -count=1 -timeout 60m ./...
	go run ./test/chaos -commands 100000 -rate 450 -products 1500
	go run ./test/chaos -commands 3000 -kills 0 -crashes 3
	go run ./test/mutants

.PHONY: bench
bench: ## measure the system from outside; each figure is printed beside its limit
	go run ./test/bench

.PHONY: field-recipe
field-recipe: ## add a field to a scratch copy by the recipe, run its tests, count the files
	go run -C tools ./addfield

.PHONY: engines-up
engines-up: ## start Kafka, PostgreSQL, Redis, MongoDB stand-ins, OpenSearch, Prometheus on loopback
	deploy/engines/up

.PHONY: engines-down
engines-down: ## stop them
	deploy/engines/down

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

# Dashboards, alerts and their checks.
.PHONY: dashboards
dashboards: ## generate the Grafana dashboards from tools/dashboards
	go run -C tools ./dashboards
# The checks of chart, contracts and workflows have a module of their own: Helm, the types of Kubernetes and oasdiff
# take minutes to build, and no other part needs them.
.PHONY: chart-check
chart-check: ## lint and render the Helm chart, and hold the objects against Kubernetes' types and rules
	go run -C tools/checks ./chartcheck
	go test -C tools/checks ./chartcheck

.PHONY: chart-write
chart-write: ## write the golden renderings and the table of values after a change of the chart
	go run -C tools/checks ./chartcheck -write

.PHONY: check-rules
check-rules: ## check and test the alerts, and the settings of Prometheus and Alertmanager (installed by make engines-up)
	promtool check config deploy/prometheus/prometheus.yml
	promtool test rules deploy/prometheus/tests/*_test.yml
