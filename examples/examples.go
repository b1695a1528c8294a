// Package examples holds sample files for imports.
package examples

//go:generate go run generate.go
