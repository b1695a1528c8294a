package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const head = `# Configuration

<!-- Generated from the flags of the programs by go generate; do not edit. -->

A program takes its settings from flags, and those that are not on its command line from the environment:
` + "`-kafka.brokers` is `$CATALOG_KAFKA_BROKERS`" + `. There are no files of settings. ` + "`-h`" + ` prints the same list as below. An
invalid value ends the program with code 2 before it does anything. The log line ` + "`starting`" + ` has the settings that differ
from their defaults, with passwords and keys as ` + "`xxxxx`" + `.

The defaults listen on loopback only, because the admin port serves profiles and gRPC has neither TLS nor passwords. The
images of ` + "`deploy/Dockerfile`" + ` set the variables of the addresses so that a program listens on all interfaces inside of
its container; publish only the port of the gateway.

| image | variables that it sets | volume |
|---|---|---|
| gateway | ` + "`CATALOG_HTTP=:8080 CATALOG_ADMIN=:9101`" + ` | |
| writer | ` + "`CATALOG_GRPC=:9092 CATALOG_ADMIN=:9102`" + ` | |
| reader | ` + "`CATALOG_GRPC=:9093 CATALOG_ADMIN=:9103 CATALOG_INDEX=/data/index`" + ` | ` + "`/data`" + `: the search index, unless OpenSearch has it |
| catalog | ` + "`CATALOG_HTTP=:8080 CATALOG_ADMIN=:8081 CATALOG_GRPC=:8082 CATALOG_DATA=/data`" + ` | ` + "`/data`" + `: the embedded engines |

A default that only some programs have stands beside their names. A flag without a variable is no setting.
`

const tail = `
## Variables of others

The programs also read these variables:

| variable | meaning |
|---|---|
| ` + "`GOMEMLIMIT`" + ` | limit of the memory of Go, such as ` + "`900MiB`" + `. Set it to about 80 % of the memory limit of the container: the collector then works harder before the kernel ends the process. |
| ` + "`GOGC`" + ` | how much the heap may grow between two collections, in percent. Default 100; 200 for ` + "`catalog up`" + `. |
| ` + "`GOMAXPROCS`" + ` | number of threads that run Go at once. The default is the number of CPUs, or the CPU limit of the container; 2 more for ` + "`catalog up`" + `. |
| ` + "`NO_COLOR`" + ` | if not empty, the log on a terminal has no colours. |
| ` + "`SSL_CERT_FILE`, `SSL_CERT_DIR`" + ` | certificates of authorities, in place of those of the system or the image. |
`

// render returns the settings as one table for each group: the part of a flag's name
// before the dot.
func render(settings map[string]*setting) string {
	var b strings.Builder
	b.WriteString(head)
	groups := map[string][]*setting{}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		group, _, found := strings.Cut(name, ".")
		if !found {
			group = ""
		}
		groups[group] = append(groups[group], settings[name])
	}
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		heading := group
		if group == "" {
			heading = "general"
		}
		fmt.Fprintf(&b, "\n## %s\n\n| flag | variable | default | meaning | programs |\n|---|---|---|---|---|\n", heading)
		for _, s := range groups[group] {
			variable := ""
			if s.variable != "" {
				variable = "`" + s.variable + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", strings.TrimSpace("-"+s.name+" "+s.value), variable, s.defaultText(), cell(s.meaning), s.programText())
		}
	}
	b.WriteString(tail)
	return b.String()
}

// defaultText returns the default, or one for each program if they differ.
func (s *setting) defaultText() string {
	var parts []string
	same := true
	first := ""
	for _, p := range programs {
		d, ok := s.defaults[p.name]
		if !ok {
			continue
		}
		if len(parts) == 0 {
			first = d
		}
		same = same && d == first
		parts = append(parts, p.name+": "+code(d))
	}
	if same {
		return code(first)
	}
	return strings.Join(parts, "<br>")
}

func (s *setting) programText() string {
	var have []string
	for _, p := range programs {
		if _, ok := s.defaults[p.name]; ok {
			have = append(have, p.name)
		}
	}
	if len(have) == len(programs) {
		return "all"
	}
	return strings.Join(have, ", ")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// cell escapes what would end a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
