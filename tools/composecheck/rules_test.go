package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// deployCopy returns a repository with a copy of the Compose files and of what they mount.
// Folders that others fill are created empty.
func deployCopy(t *testing.T) repository {
	t.Helper()
	r := repository{dir: t.TempDir()}
	for _, name := range []string{"compose.yaml", "compose.dev.yaml", ".env", "Dockerfile", "dev/Dockerfile", "postgres/init.sql", "mongo/init.js"} {
		content, err := os.ReadFile(filepath.Join("../../deploy", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(r.deploy(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.deploy(name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"jaeger", "prometheus", "alertmanager", "grafana/provisioning", "grafana/dashboards", "../tools"} {
		if err := os.MkdirAll(r.deploy(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// allFlags returns programs that read every variable that compose.yaml sets now.
func allFlags(t *testing.T) map[string]map[string]bool {
	t.Helper()
	content, err := os.ReadFile("../../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, name := range regexp.MustCompile(`CATALOG_\w+`).FindAllString(string(content), -1) {
		known[name] = true
	}
	return map[string]map[string]bool{"gateway": known, "writer": known, "reader": known, "catalog": known}
}

// problemsOf returns what the checks find in the files of r, in combinations in which every
// service occurs.
func problemsOf(t *testing.T, r repository, flags map[string]map[string]bool) string {
	t.Helper()
	problems, err := dotenvProblems(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range combinations {
		if len(c.profiles) > 0 && c.profiles[0] != "opensearch" {
			continue
		}
		p, err := load(t.Context(), r, c.files, c.profiles)
		if err != nil {
			return err.Error()
		}
		problems = append(problems, rules(p, flags, len(c.files) > 1)...)
	}
	return strings.Join(problems, "\n")
}

func TestRules(t *testing.T) {
	flags := allFlags(t)
	t.Run("the Compose files are right", func(t *testing.T) {
		if problems := problemsOf(t, deployCopy(t), flags); problems != "" {
			t.Errorf("problems:\n%s", problems)
		}
	})
	for _, m := range []struct{ mistake, file, old, with, problem string }{
		{"an unknown key", "compose.yaml", "shm_size: 128m", "shm_sise: 128m", "shm_sise"},
		{"an unknown variable of a program", "compose.yaml", "CATALOG_HTTP: 0.0.0.0:5001", "CATALOG_HTPP: 0.0.0.0:5001", "gateway: the program does not read CATALOG_HTPP"},
		{"a host that is no service", "compose.yaml", "dns:///writer:5002", "dns:///writters:5002", "CATALOG_WRITER names the host writters"},
		{"a port on which the service does not listen", "compose.yaml", "CATALOG_GRPC: 0.0.0.0:5003", "CATALOG_GRPC: 0.0.0.0:5004", "names port 5003 of reader, which listens on 5004"},
		{"a dependency that is missing", "compose.yaml", "  redis: { condition: service_healthy }\n  writer:", "  writer:", "reader: CATALOG_REDIS_URL names redis, for which it does not wait"},
		{"a wait for the end of a service", "compose.yaml", "kafka: { condition: service_healthy }\n      postgres:", "kafka: { condition: service_completed_successfully }\n      postgres:", "waits for the end of kafka, which does not end"},
		{"a wait for a service without a health check", "compose.yaml", "mongo-init: { condition: service_completed_successfully }\n    deploy", "mongo-init: { condition: service_healthy }\n    deploy", "waits until mongo-init is healthy"},
		{"a dependency outside of the profile", "compose.yaml", "reader: { condition: service_healthy, required: false }", "reader: { condition: service_healthy }", "reader"},
		{"the tag latest", "compose.yaml", "apache/kafka:4.4.0", "apache/kafka:latest", "kafka: the image apache/kafka:latest is not pinned"},
		{"a target that the Dockerfile lacks", "compose.yaml", "target: writer", "target: writers", "writer: build: deploy/Dockerfile has no target writers"},
		{"no health check", "compose.yaml", `    healthcheck:
      <<: *healthcheck
      test: [CMD, /writer, -healthcheck]
`, "", "writer: has no health check"},
		{"no limits", "compose.yaml", "    deploy:\n      resources:\n        limits: { cpus: \"2\", memory: 256m }\n\n  writer:", "\n  writer:", "gateway: has no limit of memory and CPUs"},
		{"a Go memory limit above that of the container", "compose.yaml", "GOMEMLIMIT: 410MiB", "GOMEMLIMIT: 512MiB", "reader: GOMEMLIMIT is 512MiB"},
		{"no limit of the logs", "compose.yaml", `max-size: 10m, `, "", "has no limit of its logs"},
		{"no restart policy", "compose.yaml", "  restart: unless-stopped\n", "", "kafka: has no restart policy"},
		{"a root that is writable", "compose.yaml", "  read_only: true\n", "", "gateway: its root is not read-only"},
		{"capabilities", "compose.yaml", "  cap_drop: [ALL]\n", "", "writer: does not drop all capabilities"},
		{"a port on all addresses", "compose.yaml", `"127.0.0.1:9102:9102"`, `"9102:9102"`, "writer: publishes port 9102 on all addresses"},
		{"one port twice", "compose.yaml", `"127.0.0.1:9102:9102"`, `"127.0.0.1:9101:9102"`, "publishes port 9101, as gateway does"},
		{"one port twice, in development", "compose.dev.yaml", "127.0.0.1:4002:4000", "127.0.0.1:4001:4000", "publishes port 4001"},
		{"a mounted file that is missing", "compose.yaml", "./mongo/init.js", "./mongo/initial.js", "mongo-init: mounts a file that does not exist"},
		{"a password in a command line", "compose.yaml", "requirepass $$REDIS_PASSWORD", "requirepass ${REDIS_PASSWORD}", "redis: a command line contains the value of REDIS_PASSWORD"},
		{"a variable that .env lacks", ".env", "MONGO_PASSWORD=demo-mongo\n", "", "MONGO_PASSWORD"},
		{"a variable without use", ".env", "REDIS_PASSWORD=", "UNUSED_PASSWORD=x\nREDIS_PASSWORD=", ".env: no Compose file uses UNUSED_PASSWORD"},
	} {
		t.Run(m.mistake+" is found", func(t *testing.T) {
			r := deployCopy(t)
			content, err := os.ReadFile(r.deploy(m.file))
			if err != nil {
				t.Fatal(err)
			}
			wrong := strings.ReplaceAll(string(content), m.old, m.with)
			if wrong == string(content) {
				t.Fatalf("%s does not contain %q", m.file, m.old)
			}
			if err := os.WriteFile(r.deploy(m.file), []byte(wrong), 0o644); err != nil {
				t.Fatal(err)
			}
			if problems := problemsOf(t, r, flags); !strings.Contains(problems, m.problem) {
				t.Errorf("the checks find %q; want %q", problems, m.problem)
			}
		})
	}
}
