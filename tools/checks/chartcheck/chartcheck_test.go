package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
)

const repository = "../../.."

// flagsOnce builds the programs once for all tests.
var flagsOnce = sync.OnceValues(func() (programs, error) { return programFlags(repository) })

func flags(t *testing.T) programs {
	t.Helper()
	p, err := flagsOnce()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestChart(t *testing.T) {
	t.Parallel()
	findings, err := check(filepath.Join(repository, chartDir), flags(t), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Error(f)
	}
}

func TestChart_values(t *testing.T) {
	t.Parallel()
	const required = "kafka: {brokers: 'kafka:9092'}\npostgres: {urlSecret: {name: db}}\nmongo: {urlSecret: {name: view}}\n"
	t.Run("the required fields are enough", func(t *testing.T) {
		if err := renderText(t, required); err != nil {
			t.Fatal(err)
		}
	})
	for name, c := range map[string]struct{ values, want string }{
		"no brokers":                       {"postgres: {urlSecret: {name: db}}\nmongo: {urlSecret: {name: view}}", "kafka.brokers is required"},
		"no Secret of PostgreSQL":          {"kafka: {brokers: 'kafka:9092'}\nmongo: {urlSecret: {name: view}}", "postgres.urlSecret.name is required"},
		"no Secret of MongoDB":             {"kafka: {brokers: 'kafka:9092'}\npostgres: {urlSecret: {name: db}}", "mongo.urlSecret.name is required"},
		"an unknown value":                 {required + "replicas: 3", "replicas"},
		"an unknown value inside another":  {required + "gateway: {replica: 3}", "replica"},
		"a URL in place of a Secret":       {required + "redis: {url: 'redis://:secret@redis:6379'}", "url"},
		"a URL with a password as env":     {required + "writer: {env: {CATALOG_POSTGRES_URL: 'postgres://u:p@db/catalog'}}", "CATALOG_POSTGRES_URL"},
		"an env that no program reads":     {required + "writer: {env: {PATH: /bin}}", "PATH"},
		"a number as env":                  {required + "writer: {env: {CATALOG_POSTGRES_MAX_CONNS: 5}}", "string"},
		"brokers without a port":           {"kafka: {brokers: kafka}\npostgres: {urlSecret: {name: db}}\nmongo: {urlSecret: {name: view}}", "pattern"},
		"a memory limit with another unit": {required + "gateway: {resources: {requests: {cpu: 1, memory: 1G}, limits: {memory: 1G}}}", "pattern"},
		"a delay that is no delay":         {required + "shutdown: {delaySeconds: 25, timeoutSeconds: 25}", "delaySeconds"},
		"no Pods":                          {required + "reader: {replicas: 0}", "minimum"},
		"an unknown kind of index volume":  {required + "reader: {index: {volume: hostPath}}", "volume"},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			if err := renderText(t, c.values); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("render = %v; want an error with %q", err, c.want)
			}
		})
	}
}

func renderText(t *testing.T, values string) error {
	t.Helper()
	v, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		t.Fatal(err)
	}
	_, err = render(filepath.Join(repository, chartDir), v)
	return err
}

// TestChart_mistakes plants one mistake after the other in a copy of the chart.
func TestChart_mistakes(t *testing.T) {
	t.Parallel()
	p := flags(t)
	for _, m := range []struct{ file, old, new, want string }{
		{"templates/_helpers.tpl", "runAsNonRoot: true", "runAsNonRoot: false", "may run as root"},
		{"templates/_helpers.tpl", "type: RuntimeDefault", "type: Unconfined", "seccompProfile is not RuntimeDefault"},
		{"templates/_helpers.tpl", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem"},
		{"templates/_helpers.tpl", "drop: [ALL]", "drop: [NET_RAW]", "does not drop all capabilities"},
		{"templates/_helpers.tpl", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation"},
		{"templates/_helpers.tpl", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "the Pod gets a token"},
		{"templates/_helpers.tpl", "enableServiceLinks: false", "enableServiceLinks: true", "enableServiceLinks"},
		{"templates/_helpers.tpl", "terminationGracePeriodSeconds: {{ add (int $root.Values.shutdown.timeoutSeconds) 5 }}", "terminationGracePeriodSeconds: 10", "kills the Pod before"},
		{"templates/_helpers.tpl", "livenessProbe:\n  httpGet: {path: /livez", "livenessProbe:\n  httpGet: {path: /readyz", "liveness probe asks /readyz"},
		{"templates/_helpers.tpl", "port: admin}\n  periodSeconds: 10", "port: http}\n  periodSeconds: 10", "does not use the admin port"},
		{"templates/_helpers.tpl", " 8) 10", " 5) 10", "GOMEMLIMIT"},
		{"templates/_helpers.tpl", "CATALOG_KAFKA_TOPIC_PREFIX", "CATALOG_KAFKA_PREFIX", "has no variable CATALOG_KAFKA_PREFIX"},
		{"templates/gateway.yaml", `(list "kafka" "reader" "writer")`, `(list "kafka" "readers")`, "excludes readers, which is no check"},
		{"templates/gateway.yaml", "-reader:9093", "-reader:9099", "does not listen on that port"},
		{"templates/gateway.yaml", "-writer:9092", "-writers:9092", "there is no such Service"},
		{"templates/gateway.yaml", "{name: http, containerPort: 8080}", "{name: http, containerPort: 8081}", "is not the container port http"},
		{"templates/gateway.yaml", "targetPort: http", "targetPort: web", "has no port web"},
		{"templates/gateway.yaml", "minReadySeconds: 5", "minreadySeconds: 5", "unknown field"},
		{"templates/gateway.yaml", "replicas: {{ .Values.gateway.replicas }}", "replica: {{ .Values.gateway.replicas }}", "unknown field"},
		{"templates/gateway.yaml", "{{- if not .Values.gateway.autoscaling.enabled }}", "{{- if true }}", "several settings decide"},
		{"templates/gateway.yaml", "name: CATALOG_WRITER", "name: CATALOG_READER", "CATALOG_READER occurs twice"},
		{"templates/writer.yaml", "clusterIP: None", "type: ClusterIP", "not headless"},
		{"templates/writer.yaml", `- name: CATALOG_POSTGRES_MAX_CONNS`, "- {name: CATALOG_KAFKA_REPLICA, value: x}\n            - name: CATALOG_POSTGRES_MAX_CONNS", "has no variable CATALOG_KAFKA_REPLICA"},
		{"templates/writer.yaml", `(list . "writer") | nindent 4 }}` + "\n  ports", `(list . "wriiter") | nindent 4 }}` + "\n  ports", "selects 0 workloads"},
		{"templates/writer.yaml", `(list "kafka" "postgres")`, `(list "kafka" "mysql")`, "excludes mysql"},
		{"templates/reader.yaml", "/index/catalog", "/data/catalog", "is in no volume"},
		{"templates/reader.yaml", "sizeLimit: {{ .Values.reader.index.size }}", "medium: \"\"", "has no size limit"},
		{"templates/reader.yaml", "- name: CATALOG_MONGO_DATABASE", "- {name: CATALOG_MONGO_URL, value: \"mongodb://user:password@mongo\"}\n            - name: CATALOG_MONGO_DATABASE", "is not taken from a Secret"},
		{"templates/_scaledobject.tpl", "kind: {{ index . 3 }}", "kind: Deployment", "Deployment/shop-catalog-reader does not exist"},
		{"templates/_scaledobject.tpl", "lagThreshold: {{", "lagTreshold: {{", "has no lagThreshold"},
		{"templates/_scaledobject.tpl", "minReplicaCount", "minReplicas", "unknown field"},
		{"templates/migration.yaml", "helm.sh/hook: pre-install,pre-upgrade", "helm.sh/hook: post-install", "helm.sh/hook is"},
		{"templates/migration.yaml", "restartPolicy: Never", "restartPolicy: Never\n      serviceAccountName: {{ $fullname }}", "before helm has created it"},
		{"templates/disruptionbudgets.yaml", `(list $ $name) | nindent 6`, `(list $ "gateway") | nindent 6`, "disruption budgets, not one"},
		{"templates/disruptionbudgets.yaml", "maxUnavailable: {{ $.Values.disruptionBudget.maxUnavailable }}", "maxUnavailable: 0", "lets no node be drained"},
		{"templates/networkpolicies.yaml", `(list . "kafka" "postgres" "tracing" "dns")`, `(list . "kafka" "tracing" "dns")`, "no network policy allows the connection to CATALOG_POSTGRES_URL"},
		{"templates/networkpolicies.yaml", `(list . "kafka" "tracing" "dns")`, `(list . "kafka" "postgres" "tracing" "dns")`, "which the program does not need"},
		{"templates/networkpolicies.yaml", `(list . "gateway" "reader")`, `(list . "gateway")`, "no network policy lets shop-catalog-writer accept"},
		{"templates/networkpolicies.yaml", `(list . "gateway" "operator")`, `(list . "gateway" "writer")`, "lets Deployment/shop-catalog-reader accept it, which the program does not need"},
		{"templates/networkpolicies.yaml", "protocol: UDP", "protocol: SCTP", "connection to dns"},
		{"templates/monitoring.yaml", "- port: admin", "- port: metrics", "PodMonitor/shop-catalog-gateway: the container has no port"},
		{"templates/monitoring.yaml", "podMetricsEndpoints:", "podMetricEndpoints:", "unknown field"},
		{"templates/ingress.yaml", "-gateway\n                port", "-web\n                port", "there is no port http of Service/shop-catalog-web"},
		{"templates/serviceaccount.yaml", "kind: ServiceAccount", "kind: Secret", "not a kind that the chart may create"},
		{"templates/serviceaccount.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "mounts a token"},
		{"examples/operator-pod.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "examples/operator-pod.yaml: may run as root"},
		{"examples/operator-pod.yaml", "restartPolicy", "restartpolicy", "unknown field"},
		{"examples/postgres-cloudnativepg.yaml", "kind: Cluster", "", "has no apiVersion, kind or name"},
		{"values.yaml", "  maxConns: 10", "  maxConns: 11", differs},
		{"values.yaml", "  maxConns: 10", "  maxConnections: 10", "additional properties"},
		{"README.md", "`postgres.maxConns`", "`postgres.maxconns`", "README.md does not have the table"},
		{"Chart.yaml", "version: 0.1.0", "version: one", "lint"},
	} {
		t.Run(m.file+": "+m.new, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), chartDir)
			for _, name := range []string{"chart", "prometheus", "grafana"} { // the chart links to the other two
				if err := os.CopyFS(filepath.Join(dir, "..", name), os.DirFS(filepath.Join(repository, "deploy", name))); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(dir, m.file)
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(content), m.old) {
				t.Fatalf("void: %s does not contain %q", m.file, m.old)
			}
			if err := os.WriteFile(file, []byte(strings.Replace(string(content), m.old, m.new, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			findings, err := check(dir, p, false)
			if err != nil {
				t.Fatal(err)
			}
			found := func(f string) bool {
				return strings.Contains(f, m.want) && strings.Contains(f, differs) == (m.want == differs)
			}
			if !slices.ContainsFunc(findings, found) {
				t.Errorf("no finding contains %q:\n%s", m.want, strings.Join(findings, "\n"))
			}
		})
	}
}
