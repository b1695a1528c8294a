// Package api is the contract over HTTP: openapi.yaml, and the Go that is
// generated from it. The contract of Kafka and gRPC is in catalog/v1.
package api

import _ "embed"

// OpenAPI is the contract, as YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte

//go:generate go run generate.go
//go:generate buf generate
