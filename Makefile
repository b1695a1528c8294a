# make help lists what there is. Nothing here touches anything outside this folder.
export GOBIN := $(CURDIR)/bin
export PATH := $(GOBIN):$(PATH)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## build the four programs into bin/
	go build -o bin/ ./cmd/...

.PHONY: test
test: ## all tests that need nothing but Go
	go test -race ./...

.PHONY: test-real
test-real: ## all tests, those on real engines too; make engines-up starts them
	@test -e .engines/env || { echo "no engines: run make engines-up first, which also takes addresses from the environment"; exit 1; }
	. .engines/env && go test -race -tags real $$(go list ./... | grep -v '/test/e2e$$')
	. .engines/env && go test -race -tags real ./test/e2e # alone: how long things take there is what it looks at

.PHONY: mutants
mutants: ## plant bugs and see that each is caught by a test
	go run ./test/mutants

.PHONY: engines-up
engines-up: ## start Kafka, PostgreSQL, Redis, FerretDB, OpenSearch and Prometheus on loopback
	deploy/engines/up

.PHONY: engines-down
engines-down: ## stop them
	deploy/engines/down

.PHONY: tools
tools: ## install the pinned tools into bin/
	go install -C tools tool

.PHONY: generate
generate: ## make the generated code anew
	go generate ./...

.PHONY: fmt
fmt: ## format Go and protobuf
	golangci-lint fmt
	cd api && buf format -w --path catalog

.PHONY: lint
lint: ## look for mistakes
	golangci-lint run
	golangci-lint run --build-tags real ./engine/...
	cd api && buf lint

.PHONY: verify
verify: generate ## fail when generated code or go.mod is not what it should be
	cd api && buf lint && buf format -d --exit-code --path catalog
	go mod tidy -diff
	git diff --exit-code --stat -- api examples go.mod go.sum

.PHONY: bench
bench: ## measure catalog up from outside, beside its limits
	go run ./test/bench

# CHAOS=-commands 100000 makes it a large one; go run ./test/chaos -h says what else there is.
.PHONY: chaos
chaos: ## kill every part of the system while commands flow, and look for what is lost, doubled or out of order
	go run ./test/chaos $(CHAOS)
