// Package examples holds files to try the catalogue with.
package examples

//go:generate go run generate.go
