// Command errordoc writes docs/errors.md from the error model of the root
// package. Run it with go generate.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"google.golang.org/grpc/codes"

	"catalog"
)

func main() {
	out := flag.String("o", "docs/errors.md", "`file` to write")
	flag.Parse()
	if err := os.WriteFile(*out, []byte(document()), 0o644); err != nil {
		log.Fatal(err)
	}
}

// document returns the error model as Markdown.
func document() string {
	var b strings.Builder
	b.WriteString(`# Errors

<!-- Generated from errors.go by go generate; do not edit. -->

Every error has a code. HTTP responses carry it in ` + "`code`" + ` of the problem (RFC 9457), gRPC statuses in the reason of a
` + "`google.rpc.ErrorInfo`" + ` of the domain ` + "`catalog`" + `, in capitals. The command ` + "`catalog`" + ` exits with the code of the last column; 0 is
success, 1 any error that is not in the table, and 2 a wrong command line.

| code | HTTP | gRPC | exit |
|---|---|---|---|
`)
	for _, k := range catalog.ErrorKinds {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %d %s | %s | %d |\n", k.Code, k.Code, k.HTTPStatus, http.StatusText(k.HTTPStatus), name(k.GRPCCode), k.ExitCode)
	}
	for _, k := range catalog.ErrorKinds {
		fmt.Fprintf(&b, "\n## %s\n\n%s. %s\n\n- Retry: %s.\n", k.Code, k.Title, k.Meaning, k.Retry)
		if k.RetryAfter > 0 {
			fmt.Fprintf(&b, "- `Retry-After`: %d s, unless the response says otherwise.\n", k.RetryAfter)
		}
		if k.ReadAdvice != "" && k.ReadAdvice != k.WriteAdvice {
			fmt.Fprintf(&b, "- Detail of a read: %s.\n", k.ReadAdvice)
		}
		if k.WriteAdvice != "" && k.ReadAdvice != k.WriteAdvice {
			fmt.Fprintf(&b, "- Detail of a write: %s.\n", k.WriteAdvice)
		}
	}
	return b.String()
}

// name returns the name of a gRPC code as protobuf writes it, such as NOT_FOUND.
func name(code int) string {
	var b strings.Builder
	for i, r := range codes.Code(code).String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}
