package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// report collects findings.
type report []string

func (r *report) add(format string, args ...any) { *r = append(*r, fmt.Sprintf(format, args...)) }

// check returns the rules that the objects break.
func (o *objects) check(p programs) []string {
	var r report
	for _, d := range o.metas {
		checkMeta(&r, d)
	}
	for _, w := range o.workloads {
		at := w.kind + "/" + w.meta.Name
		checkSecurity(&r, at, w.template.Spec)
		o.checkAccount(&r, at, w)
		checkResources(&r, at, w.template.Spec)
		checkEnvironment(&r, at, w, p)
		if w.kind != "Job" {
			checkSelector(&r, at, w)
			checkProbes(&r, at, w.template.Spec, p)
			checkShutdown(&r, at, w.template.Spec)
			checkSpread(&r, at, w)
			o.checkBudget(&r, at, w)
			o.checkScaling(&r, at, w)
		}
		checkVolumes(&r, at, w)
		o.checkConnections(&r, at, w)
	}
	o.checkServices(&r)
	o.checkIngresses(&r)
	o.checkMonitoring(&r)
	o.checkHooks(&r)
	return r
}

func checkMeta(r *report, d described) {
	at := d.kind + "/" + d.meta.Name
	for _, problem := range validation.IsDNS1123Label(d.meta.Name) {
		r.add("%s: name: %s", at, problem)
	}
	if d.meta.Namespace != "" {
		r.add("%s: has a namespace; helm sets it", at)
	}
	for _, label := range []string{"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"} {
		if d.meta.Labels[label] == "" {
			r.add("%s: label %s is missing", at, label)
		}
	}
	for key, value := range d.meta.Labels {
		for _, problem := range slices.Concat(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)) {
			r.add("%s: label %s=%s: %s", at, key, value, problem)
		}
	}
}

// checkSecurity holds a Pod against the Pod Security Standard "restricted", and requires a
// root file system that is read-only.
func checkSecurity(r *report, at string, pod core.PodSpec) {
	if pod.HostNetwork || pod.HostPID || pod.HostIPC {
		r.add("%s: shares a namespace of the host", at)
	}
	s := pod.SecurityContext
	if s == nil {
		r.add("%s: has no security context", at)
		return
	}
	if s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser == 0 {
		r.add("%s: may run as root: set runAsNonRoot and runAsUser", at)
	}
	if s.SeccompProfile == nil || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		r.add("%s: seccompProfile is not RuntimeDefault", at)
	}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		s := c.SecurityContext
		if s == nil {
			r.add("%s: container %s has no security context", at, c.Name)
			continue
		}
		if s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
			r.add("%s: container %s: allowPrivilegeEscalation is not false", at, c.Name)
		}
		if s.Privileged != nil && *s.Privileged {
			r.add("%s: container %s is privileged", at, c.Name)
		}
		if s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			r.add("%s: container %s: readOnlyRootFilesystem is not true", at, c.Name)
		}
		if s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") || len(s.Capabilities.Add) > 0 {
			r.add("%s: container %s does not drop all capabilities", at, c.Name)
		}
		if s.RunAsUser != nil && *s.RunAsUser == 0 || s.RunAsNonRoot != nil && !*s.RunAsNonRoot {
			r.add("%s: container %s may run as root", at, c.Name)
		}
		for _, port := range c.Ports {
			if port.HostPort != 0 {
				r.add("%s: container %s takes a port of the host", at, c.Name)
			}
		}
	}
}

func (o *objects) checkAccount(r *report, at string, w workload) {
	pod := w.template.Spec
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		r.add("%s: the Pod gets a token: set automountServiceAccountToken: false", at)
	}
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		r.add("%s: enableServiceLinks is not false", at)
	}
	if name := pod.ServiceAccountName; name != "" && !o.names["ServiceAccount/"+name] {
		r.add("%s: the account %s does not exist", at, name)
	}
	for _, a := range o.accounts {
		if a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
			r.add("ServiceAccount/%s: mounts a token", a.Name)
		}
	}
}

func checkResources(r *report, at string, pod core.PodSpec) {
	for _, c := range pod.Containers {
		if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() {
			r.add("%s: container %s has no request of CPU or memory", at, c.Name)
		}
		limit := c.Resources.Limits.Memory().Value()
		if limit == 0 {
			r.add("%s: container %s has no limit of memory", at, c.Name)
			continue
		}
		if limit < c.Resources.Requests.Memory().Value() {
			r.add("%s: container %s: the limit of memory is below the request", at, c.Name)
		}
		goLimit, err := strconv.ParseInt(envValue(c, "GOMEMLIMIT"), 10, 64)
		if share := float64(goLimit) / float64(limit); err != nil || share < 0.7 || share > 0.9 {
			r.add("%s: container %s: GOMEMLIMIT=%s is not between 70 and 90 %% of the memory limit %d", at, c.Name, envValue(c, "GOMEMLIMIT"), limit)
		}
	}
}

func envValue(c core.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// checkEnvironment checks that the program knows its variables, that none occurs twice, and
// that addresses which may contain a password come from a Secret.
func checkEnvironment(r *report, at string, w workload, p programs) {
	for _, c := range w.template.Spec.Containers {
		known, ok := p.variables[c.Name]
		if !ok {
			r.add("%s: container %s runs no known program", at, c.Name)
			continue
		}
		seen := map[string]bool{}
		for _, e := range c.Env {
			if seen[e.Name] {
				r.add("%s: container %s: %s occurs twice", at, c.Name, e.Name)
			}
			seen[e.Name] = true
			if strings.HasPrefix(e.Name, "CATALOG_") && !known[e.Name] {
				r.add("%s: container %s: the program has no variable %s", at, c.Name, e.Name)
			}
			secret := strings.HasSuffix(e.Name, "_URL") || strings.Contains(e.Name, "PASSWORD")
			if secret && (e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil || e.ValueFrom.SecretKeyRef.Name == "" || e.ValueFrom.SecretKeyRef.Key == "") {
				r.add("%s: container %s: %s is not taken from a Secret", at, c.Name, e.Name)
			}
			if u, err := url.Parse(e.Value); err == nil && u.User != nil {
				r.add("%s: container %s: %s contains a password or user", at, c.Name, e.Name)
			}
		}
		for _, name := range []string{"CATALOG_KAFKA_BROKERS", "CATALOG_POSTGRES_URL", "CATALOG_MONGO_URL", "CATALOG_READER", "CATALOG_WRITER", "CATALOG_GRPC", "CATALOG_HTTP", "CATALOG_ADMIN"} {
			if known[name] && !seen[name] {
				r.add("%s: container %s: %s is not set", at, c.Name, name)
			}
		}
		for name, port := range map[string]string{"CATALOG_HTTP": "http", "CATALOG_GRPC": "grpc", "CATALOG_ADMIN": "admin"} {
			if value := envValue(c, name); seen[name] && value != fmt.Sprintf(":%d", portNumber(c, port)) {
				r.add("%s: container %s: %s=%s is not the container port %s", at, c.Name, name, value, port)
			}
		}
	}
}

func portNumber(c core.Container, name string) int32 {
	for _, p := range c.Ports {
		if p.Name == name {
			return p.ContainerPort
		}
	}
	return 0
}

func checkSelector(r *report, at string, w workload) {
	if w.selector == nil || len(w.selector.MatchLabels) == 0 || !matches(w.selector, w.template.Labels) {
		r.add("%s: the selector does not match the labels of its Pods", at)
		return
	}
	for label := range w.selector.MatchLabels {
		if label == "app.kubernetes.io/version" || label == "helm.sh/chart" {
			r.add("%s: selects by %s, which changes with an upgrade", at, label)
		}
	}
}

func matches(s *meta.LabelSelector, of map[string]string) bool {
	selector, err := meta.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(of))
}

func checkProbes(r *report, at string, pod core.PodSpec, p programs) {
	for _, c := range pod.Containers {
		for name, probe := range map[string]*core.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil {
				r.add("%s: container %s has no %s probe over HTTP", at, c.Name, name)
				continue
			}
			if probe.HTTPGet.Port.StrVal != "admin" || portNumber(c, "admin") == 0 {
				r.add("%s: container %s: the %s probe does not use the admin port", at, c.Name, name)
			}
			path, query, _ := strings.Cut(probe.HTTPGet.Path, "?")
			if want := map[string]string{"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}[name]; path != want {
				r.add("%s: container %s: the %s probe asks %s, not %s", at, c.Name, name, path, want)
			}
			parameters, err := url.ParseQuery(query)
			if err != nil {
				r.add("%s: container %s: %s probe: %v", at, c.Name, name, err)
			}
			for _, check := range parameters["exclude"] {
				if !p.checks[check] {
					r.add("%s: container %s: the %s probe excludes %s, which is no check", at, c.Name, name, check)
				}
			}
		}
		if l, s := c.LivenessProbe, c.StartupProbe; l != nil && s != nil && l.FailureThreshold*l.PeriodSeconds < 30 {
			r.add("%s: container %s: is killed after less than 30 s without a response", at, c.Name)
		}
	}
}

func checkShutdown(r *report, at string, pod core.PodSpec) {
	for _, c := range pod.Containers {
		delay, err1 := time.ParseDuration(envValue(c, "CATALOG_SHUTDOWN_DELAY"))
		timeout, err2 := time.ParseDuration(envValue(c, "CATALOG_SHUTDOWN_TIMEOUT"))
		if err1 != nil || err2 != nil || delay >= timeout {
			r.add("%s: container %s: the shutdown delay is not below the shutdown timeout", at, c.Name)
		}
		if g := pod.TerminationGracePeriodSeconds; g == nil || time.Duration(*g)*time.Second <= timeout {
			r.add("%s: Kubernetes kills the Pod before -shutdown-timeout %v ends", at, timeout)
		}
	}
}

func checkSpread(r *report, at string, w workload) {
	if len(w.template.Spec.TopologySpreadConstraints) == 0 {
		r.add("%s: has no topology spread", at)
	}
	for _, t := range w.template.Spec.TopologySpreadConstraints {
		if !matches(t.LabelSelector, w.template.Labels) {
			r.add("%s: the topology spread by %s does not select its Pods", at, t.TopologyKey)
		}
	}
}

// selected returns the workloads whose Pods the selector matches.
func (o *objects) selected(s *meta.LabelSelector) (found []workload) {
	for _, w := range o.workloads {
		if matches(s, w.template.Labels) {
			found = append(found, w)
		}
	}
	return found
}

func (o *objects) checkBudget(r *report, at string, w workload) {
	budgets := 0
	for _, b := range o.budgets {
		if found := o.selected(b.Spec.Selector); len(found) != 1 {
			r.add("PodDisruptionBudget/%s: selects %d workloads, not one", b.Name, len(found))
		}
		if matches(b.Spec.Selector, w.template.Labels) {
			budgets++
		}
		if b.Spec.MaxUnavailable == nil || b.Spec.MaxUnavailable.String() == "0" {
			r.add("PodDisruptionBudget/%s: lets no node be drained", b.Name)
		}
	}
	if budgets != 1 {
		r.add("%s: has %d disruption budgets, not one", at, budgets)
	}
}

func (o *objects) checkScaling(r *report, at string, w workload) {
	scalers := 0
	for _, s := range o.scalers {
		if t := s.Spec.ScaleTargetRef; t.Kind+"/"+t.Name == at {
			scalers++
		} else if !o.names[t.Kind+"/"+t.Name] {
			r.add("HorizontalPodAutoscaler/%s: %s/%s does not exist", s.Name, t.Kind, t.Name)
		}
	}
	for _, s := range o.scaledObjects {
		t := s.Spec.ScaleTargetRef
		if t.Kind+"/"+t.Name == at {
			scalers++
		} else if !o.names[t.Kind+"/"+t.Name] {
			r.add("ScaledObject/%s: %s/%s does not exist", s.Name, t.Kind, t.Name)
		}
		for _, trigger := range s.Spec.Triggers {
			for _, key := range []string{"bootstrapServers", "consumerGroup", "topic", "lagThreshold"} {
				if trigger.Metadata[key] == "" {
					r.add("ScaledObject/%s: the trigger has no %s", s.Name, key)
				}
			}
		}
	}
	if scalers > 1 || scalers == 1 && w.replicas != nil {
		r.add("%s: several settings decide on the number of its Pods", at)
	}
	if scalers == 0 && w.replicas == nil {
		r.add("%s: has no number of Pods", at)
	}
}

func checkVolumes(r *report, at string, w workload) {
	volumes := map[string]bool{}
	for _, claim := range w.claims {
		volumes[claim.Name] = true
	}
	for _, v := range w.template.Spec.Volumes {
		volumes[v.Name] = true
		if v.HostPath != nil {
			r.add("%s: mounts a path of the host", at)
		}
		if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
			r.add("%s: the volume %s has no size limit", at, v.Name)
		}
	}
	for _, c := range w.template.Spec.Containers {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				r.add("%s: the volume %s does not exist", at, m.Name)
			}
			delete(volumes, m.Name)
		}
		index := envValue(c, "CATALOG_INDEX")
		mounted := slices.ContainsFunc(c.VolumeMounts, func(m core.VolumeMount) bool {
			return strings.HasPrefix(index, m.MountPath+"/")
		})
		if index != "" && !mounted {
			r.add("%s: container %s: the index folder %s is in no volume", at, c.Name, index)
		}
	}
	for name := range volumes {
		r.add("%s: the volume %s is not mounted", at, name)
	}
}

func (o *objects) checkServices(r *report) {
	for _, s := range o.services {
		found := o.selected(&meta.LabelSelector{MatchLabels: s.Spec.Selector})
		if len(found) != 1 {
			r.add("Service/%s: selects %d workloads, not one", s.Name, len(found))
			continue
		}
		for _, p := range s.Spec.Ports {
			if portNumber(found[0].template.Spec.Containers[0], p.TargetPort.StrVal) == 0 {
				r.add("Service/%s: the container has no port %s", s.Name, p.TargetPort.String())
			}
		}
	}
}

func (o *objects) checkIngresses(r *report) {
	for _, i := range o.ingresses {
		for _, rule := range i.Spec.Rules {
			for _, path := range rule.HTTP.Paths {
				ok := slices.ContainsFunc(o.services, func(s core.Service) bool {
					return s.Name == path.Backend.Service.Name && slices.ContainsFunc(s.Spec.Ports, func(p core.ServicePort) bool { return p.Name == path.Backend.Service.Port.Name })
				})
				if !ok {
					r.add("Ingress/%s: there is no port %s of Service/%s", i.Name, path.Backend.Service.Port.Name, path.Backend.Service.Name)
				}
			}
		}
	}
}

func (o *objects) checkMonitoring(r *report) {
	for _, m := range o.podMonitors {
		found := o.selected(&m.Spec.Selector)
		if len(found) != 1 {
			r.add("PodMonitor/%s: selects %d workloads, not one", m.Name, len(found))
			continue
		}
		for _, e := range m.Spec.PodMetricsEndpoints {
			if e.Port == nil || portNumber(found[0].template.Spec.Containers[0], *e.Port) == 0 {
				r.add("PodMonitor/%s: the container has no port %v", m.Name, e.Port)
			}
		}
	}
	if len(o.podMonitors) > 0 {
		for _, w := range o.workloads {
			if w.kind != "Job" && !slices.ContainsFunc(o.podMonitors, func(m monitoring.PodMonitor) bool { return matches(&m.Spec.Selector, w.template.Labels) }) {
				r.add("%s/%s: has no PodMonitor", w.kind, w.meta.Name)
			}
		}
	}
	for _, rule := range o.rules {
		if len(rule.Spec.Groups) == 0 {
			r.add("PrometheusRule/%s: has no groups", rule.Name)
		}
	}
	for _, m := range o.configMaps {
		for name, content := range m.Data {
			if strings.HasSuffix(name, ".json") && !json.Valid([]byte(content)) {
				r.add("ConfigMap/%s: %s is not JSON", m.Name, name)
			}
			if len(content) > maxConfigMap {
				r.add("ConfigMap/%s: %s has %d bytes, more than Kubernetes stores", m.Name, name, len(content))
			}
		}
	}
}

// maxConfigMap is below the 1 MiB that Kubernetes stores in a ConfigMap.
const maxConfigMap = 1 << 20 * 9 / 10

// checkHooks checks that objects which helm creates before the others need none of those.
func (o *objects) checkHooks(r *report) {
	for _, w := range o.workloads {
		hook := w.meta.Annotations["helm.sh/hook"]
		if (w.kind == "Job") != (hook == "pre-install,pre-upgrade") {
			r.add("%s/%s: helm.sh/hook is %q", w.kind, w.meta.Name, hook)
		}
		if w.kind == "Job" && w.template.Spec.ServiceAccountName != "" {
			r.add("Job/%s: needs the account %s before helm has created it", w.meta.Name, w.template.Spec.ServiceAccountName)
		}
	}
}

// destination is where a program connects to: Pods of the chart or an address outside.
type destination struct {
	name    string
	labels  map[string]string // labels of the Pods; nil for an address outside
	service string
	port    int32
	udp     bool
}

// connections returns where the program of a workload connects to, from its environment.
func (o *objects) connections(r *report, at string, w workload) (all []destination) {
	engines := map[string]int32{"CATALOG_POSTGRES_URL": 5432, "CATALOG_MONGO_URL": 27017, "CATALOG_REDIS_URL": 6379, "CATALOG_OPENSEARCH_URL": 9200}
	all = append(all, destination{name: "dns", port: 53}, destination{name: "dns", port: 53, udp: true})
	for _, e := range w.template.Spec.Containers[0].Env {
		if port := engines[e.Name]; port != 0 {
			all = append(all, destination{name: e.Name, port: port})
		}
		switch {
		case e.Name == "CATALOG_KAFKA_BROKERS", strings.Contains(e.Name, "OTLP_ENDPOINT"):
			for broker := range strings.SplitSeq(strings.TrimPrefix(e.Value, "http://"), ",") {
				_, port, _ := strings.Cut(broker, ":")
				n, _ := strconv.Atoi(port)
				all = append(all, destination{name: e.Name, port: int32(n)})
			}
		case strings.HasPrefix(e.Value, "dns:///"):
			service, port, _ := strings.Cut(strings.TrimPrefix(e.Value, "dns:///"), ":")
			n, _ := strconv.Atoi(port)
			d := destination{name: e.Name, service: service, port: int32(n)}
			for _, s := range o.services {
				if s.Name == service {
					if s.Spec.ClusterIP != core.ClusterIPNone {
						r.add("%s: %s=%s: the Service is not headless, so gRPC sees one address and does not balance", at, e.Name, e.Value)
					}
					for _, server := range o.selected(&meta.LabelSelector{MatchLabels: s.Spec.Selector}) {
						d.labels = server.template.Labels
						if portNumber(server.template.Spec.Containers[0], "grpc") != d.port {
							r.add("%s: %s=%s: the container does not listen on that port", at, e.Name, e.Value)
						}
					}
				}
			}
			if d.labels == nil {
				r.add("%s: %s=%s: there is no such Service", at, e.Name, e.Value)
			}
			all = append(all, d)
		}
	}
	return all
}

// checkConnections checks that the network policies allow every connection of a workload, at
// both ends, and no connection to another service or engine.
func (o *objects) checkConnections(r *report, at string, w workload) {
	needed := o.connections(r, at, w)
	if len(o.networkPolicies) == 0 {
		return
	}
	for _, d := range needed {
		if !o.allowed(true, w.template.Labels, d.labels, d) {
			r.add("%s: no network policy allows the connection to %s, port %d", at, d.name, d.port)
		}
		if d.labels != nil && !o.allowed(false, d.labels, w.template.Labels, d) {
			r.add("%s: no network policy lets %s accept it on port %d", at, d.service, d.port)
		}
	}
	for name, port := range map[string]int32{"PostgreSQL": 5432, "MongoDB": 27017, "Redis": 6379, "OpenSearch": 9200} {
		d := destination{name: name, port: port}
		if o.allowed(true, w.template.Labels, nil, d) && !slices.ContainsFunc(needed, func(n destination) bool { return n.port == port }) {
			r.add("%s: a network policy allows a connection to %s, which the program does not need", at, name)
		}
	}
	for _, server := range o.workloads {
		grpc := portNumber(server.template.Spec.Containers[0], "grpc")
		uses := slices.ContainsFunc(needed, func(n destination) bool { return n.labels != nil && maps.Equal(n.labels, server.template.Labels) })
		if grpc != 0 && !uses && o.allowed(false, server.template.Labels, w.template.Labels, destination{port: grpc}) {
			r.add("%s: a network policy lets %s/%s accept it, which the program does not need", at, server.kind, server.meta.Name)
		}
	}
}

// allowed reports whether the policies of the Pod allow a connection to or from the peer. A
// Pod that no policy selects is not restricted, which is a mistake here.
func (o *objects) allowed(egress bool, pod, peer map[string]string, d destination) bool {
	for _, p := range o.networkPolicies {
		if !matches(&p.Spec.PodSelector, pod) {
			continue
		}
		if egress {
			for _, rule := range p.Spec.Egress {
				if o.portAllowed(rule.Ports, peer, d) && peerAllowed(rule.To, peer) {
					return true
				}
			}
			continue
		}
		for _, rule := range p.Spec.Ingress {
			if o.portAllowed(rule.Ports, pod, d) && peerAllowed(rule.From, peer) {
				return true
			}
		}
	}
	return false
}

// peerAllowed reports whether one of the peers of a rule is the Pod with the labels, or, for
// nil, whether an address outside is possible.
func peerAllowed(peers []networking.NetworkPolicyPeer, pod map[string]string) bool {
	if len(peers) == 0 {
		return true
	}
	return slices.ContainsFunc(peers, func(p networking.NetworkPolicyPeer) bool {
		if pod == nil {
			return p.NamespaceSelector != nil || p.IPBlock != nil
		}
		return p.NamespaceSelector == nil && p.PodSelector != nil && matches(p.PodSelector, pod)
	})
}

// portAllowed reports whether a rule has the port of d. server has the labels of the Pod that
// listens, which names its ports; nil for an address outside.
func (o *objects) portAllowed(ports []networking.NetworkPolicyPort, server map[string]string, d destination) bool {
	return slices.ContainsFunc(ports, func(p networking.NetworkPolicyPort) bool {
		if udp := p.Protocol != nil && *p.Protocol == core.ProtocolUDP; udp != d.udp || p.Port == nil {
			return false
		}
		if p.Port.Type == intstr.Int {
			return p.Port.IntVal == d.port
		}
		return server != nil && slices.ContainsFunc(o.workloads, func(w workload) bool {
			return maps.Equal(w.template.Labels, server) && portNumber(w.template.Spec.Containers[0], p.Port.StrVal) == d.port
		})
	})
}
