package main

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// withoutHealthcheck names the services whose image has no program that could check it.
var withoutHealthcheck = map[string]bool{"mongodb-exporter": true}

// otherVariables are read by the Go runtime of the services, and SERVICE by compose.dev.yaml.
var otherVariables = map[string]bool{"GOMEMLIMIT": true, "GOGC": true, "GOMAXPROCS": true, "SERVICE": true}

// rules returns what is wrong in a project, sorted. flags are the variables that each program
// reads. Containers of a development project build and debug, so they are not hardened.
func rules(p *types.Project, flags map[string]map[string]bool, development bool) []string {
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		s := p.Services[name]
		complain := func(format string, args ...any) {
			problems = append(problems, name+": "+fmt.Sprintf(format, args...))
		}
		checkImage(s, complain)
		checkOperation(s, complain)
		checkMounts(s, complain)
		checkDependencies(p, s, complain)
		checkSecrets(p, s, complain)
		if program, ours := program(s); ours {
			checkEnvironment(p, s, flags[program], complain)
			if !development {
				checkHardening(s, complain)
			}
		}
	}
	return append(problems, portProblems(p)...)
}

// program returns the program of a service whose image is built from this repository. The image
// catalog-dev has none: it builds the one that its variable SERVICE names.
func program(s types.ServiceConfig) (name string, ours bool) {
	image, _, _ := strings.Cut(s.Image, ":")
	switch {
	case image == "catalog":
		return image, true
	case image == "catalog-dev" && s.Environment["SERVICE"] != nil:
		return *s.Environment["SERVICE"], true
	}
	return strings.CutPrefix(image, "catalog-")
}

// isJob reports whether a service ends by itself.
func isJob(s types.ServiceConfig) bool { return s.Restart == types.RestartPolicyNo }

var pinnedImage = regexp.MustCompile(`^[a-z0-9./_-]+:v?\d+\.\d+(\.\d+)?[a-z0-9.-]*(@sha256:[0-9a-f]{64})?$`)

func checkImage(s types.ServiceConfig, complain func(string, ...any)) {
	if _, ours := program(s); ours {
		if s.Build == nil {
			complain("the image %s is of this repository, but has no build", s.Image)
			return
		}
		dockerfile := s.Build.Dockerfile
		if !strings.HasPrefix(dockerfile, "/") {
			dockerfile = s.Build.Context + "/" + dockerfile
		}
		content, err := os.ReadFile(dockerfile)
		if err != nil {
			complain("build: %v", err)
		} else if target := s.Build.Target; target != "" && !regexp.MustCompile(`(?mi)^FROM .* AS `+regexp.QuoteMeta(target)+`\s*$`).Match(content) {
			complain("build: %s has no target %s", s.Build.Dockerfile, target)
		}
		return
	}
	if !pinnedImage.MatchString(s.Image) {
		complain("the image %s is not pinned to a version", s.Image)
	}
}

// checkOperation checks restarts, logs, limits and health checks.
func checkOperation(s types.ServiceConfig, complain func(string, ...any)) {
	if s.Restart == "" {
		complain("has no restart policy")
	}
	if s.Logging == nil || s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
		complain("has no limit of its logs (max-size, max-file)")
	}
	if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 || s.Deploy.Resources.Limits.NanoCPUs == 0 {
		complain("has no limit of memory and CPUs")
	} else if limit := s.Environment["GOMEMLIMIT"]; limit != nil && *limit != "off" {
		mib, err := strconv.ParseInt(strings.TrimSuffix(*limit, "MiB"), 10, 64)
		if most := int64(s.Deploy.Resources.Limits.MemoryBytes) * 9 / 10; err != nil || mib<<20 > most {
			complain("GOMEMLIMIT is %s; at most nine tenths of the memory limit (%d MiB) leave room for what is not of the Go heap", *limit, most>>20)
		}
	}
	if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		complain("lacks no-new-privileges")
	}
	if s.Privileged {
		complain("is privileged")
	}
	checked := s.HealthCheck != nil && !s.HealthCheck.Disable && len(s.HealthCheck.Test) > 0
	if !checked && !isJob(s) && !withoutHealthcheck[s.Name] {
		complain("has no health check")
	}
}

func checkHardening(s types.ServiceConfig, complain func(string, ...any)) {
	if !s.ReadOnly {
		complain("its root is not read-only")
	}
	if !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 {
		complain("does not drop all capabilities")
	}
}

func checkMounts(s types.ServiceConfig, complain func(string, ...any)) {
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		if _, err := os.Stat(v.Source); err != nil {
			complain("mounts a file that does not exist: %v", err)
		}
	}
}

// checkDependencies checks that each dependency can reach the state for which s waits.
func checkDependencies(p *types.Project, s types.ServiceConfig, complain func(string, ...any)) {
	for _, name := range slices.Sorted(maps.Keys(s.DependsOn)) {
		d := s.DependsOn[name]
		on, ok := p.Services[name]
		switch {
		case !ok && d.Required:
			complain("depends on %s, which the profile does not start", name)
		case !ok:
		case d.Condition == types.ServiceConditionCompletedSuccessfully && !isJob(on):
			complain("waits for the end of %s, which does not end", name)
		case d.Condition == types.ServiceConditionHealthy && (on.HealthCheck == nil || on.HealthCheck.Disable):
			complain("waits until %s is healthy, but %s has no health check", name, name)
		case d.Condition == types.ServiceConditionStarted:
			complain("depends on %s without waiting until it is healthy or has ended", name)
		}
	}
}

// checkSecrets checks that no command line contains a password.
func checkSecrets(p *types.Project, s types.ServiceConfig, complain func(string, ...any)) {
	words := slices.Concat(s.Command, s.Entrypoint)
	if s.HealthCheck != nil {
		words = append(words, s.HealthCheck.Test...)
	}
	line := strings.Join(words, " ")
	for name, value := range p.Environment {
		secret := strings.HasSuffix(name, "_PASSWORD") || strings.HasSuffix(name, "_KEY")
		if secret && value != "" && strings.Contains(line, value) {
			complain("a command line contains the value of %s", name)
		}
	}
}

var hostPort = regexp.MustCompile(`(?:^|[/@,])([a-z][a-z0-9-]*):(\d+)`)

// checkEnvironment checks that the program reads each CATALOG_ variable, and that each host in
// a variable is a service of the project that s waits for.
func checkEnvironment(p *types.Project, s types.ServiceConfig, flags map[string]bool, complain func(string, ...any)) {
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		value := ""
		if v := s.Environment[name]; v != nil {
			value = *v
		}
		switch {
		case strings.HasPrefix(name, "CATALOG_") && !flags[name]:
			complain("the program does not read %s", name)
		case !strings.HasPrefix(name, "CATALOG_") && !strings.HasPrefix(name, "OTEL_") && !otherVariables[name]:
			complain("the variable %s has no use in this program", name)
		}
		for _, m := range hostPort.FindAllStringSubmatch(value, -1) {
			checkAddress(p, s, name, m[1], m[2], complain)
		}
	}
}

// enginePorts are the ports of engines, which their images choose.
var enginePorts = map[string]string{"kafka": "9092", "postgres": "5432", "mongo": "27017", "redis": "6379", "opensearch": "9200", "jaeger": "4317"}

func checkAddress(p *types.Project, s types.ServiceConfig, variable, host, port string, complain func(string, ...any)) {
	target, ok := findService(p, host)
	if !ok {
		if host != "jaeger" { // without it, spans are dropped
			complain("%s names the host %s, which is no service of this profile", variable, host)
		}
		return
	}
	want := enginePorts[host]
	if _, ours := program(target); ours {
		address := target.Environment["CATALOG_GRPC"]
		if address == nil {
			complain("%s: %s has no CATALOG_GRPC", variable, host)
			return
		}
		_, want, _ = net.SplitHostPort(*address)
	}
	if port != want {
		complain("%s names port %s of %s, which listens on %s", variable, port, host, want)
	}
	if host != "jaeger" && !waitsFor(p, s, target.Name, map[string]bool{}) {
		complain("%s names %s, for which it does not wait", variable, host)
	}
}

// findService returns the service with the name or alias host.
func findService(p *types.Project, host string) (types.ServiceConfig, bool) {
	if s, ok := p.Services[host]; ok {
		return s, true
	}
	for _, s := range p.Services {
		for _, n := range s.Networks {
			if n != nil && slices.Contains(n.Aliases, host) {
				return s, true
			}
		}
	}
	return types.ServiceConfig{}, false
}

// waitsFor reports whether s depends on the service name, directly or by another service.
func waitsFor(p *types.Project, s types.ServiceConfig, name string, seen map[string]bool) bool {
	for on := range s.DependsOn {
		if on == name {
			return true
		}
		if !seen[on] {
			seen[on] = true
			if waitsFor(p, p.Services[on], name, seen) {
				return true
			}
		}
	}
	return false
}

// portProblems checks that published ports are on loopback and do not collide.
func portProblems(p *types.Project) (problems []string) {
	owner := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		for _, port := range p.Services[name].Ports {
			if port.HostIP != "127.0.0.1" {
				problems = append(problems, fmt.Sprintf("%s: publishes port %s on %s, not on loopback alone", name, port.Published, cmp.Or(port.HostIP, "all addresses")))
			}
			if other, taken := owner[port.Published]; taken {
				problems = append(problems, fmt.Sprintf("%s: publishes port %s, as %s does", name, port.Published, other))
			}
			owner[port.Published] = name
		}
	}
	return problems
}

// memoryLimits returns the sum of the memory limits, in bytes.
func memoryLimits(p *types.Project) (sum int64) {
	for _, s := range p.Services {
		if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
			sum += int64(s.Deploy.Resources.Limits.MemoryBytes)
		}
	}
	return sum
}
