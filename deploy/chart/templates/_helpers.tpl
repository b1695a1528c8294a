{{- define "catalog.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* First part of the names of all objects: the release, with the chart's name unless the release contains it. */}}
{{- define "catalog.fullname" -}}
{{- $name := include "catalog.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "catalog.tag" -}}
{{- default .Chart.AppVersion .Values.image.tag -}}
{{- end -}}

{{/* Labels of objects. Call with (list . "gateway"). */}}
{{- define "catalog.labels" -}}
{{- $root := index . 0 -}}
{{ include "catalog.selector" . }}
app.kubernetes.io/version: {{ include "catalog.tag" $root | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{/* Labels by which Pods of a service are selected. They never change. */}}
{{- define "catalog.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "catalog.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "catalog.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "catalog.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Four fifths of a memory limit in Mi or Gi, in bytes: the collector of Go works harder before the kernel kills. */}}
{{- define "catalog.goMemLimit" -}}
{{- $unit := ternary 1073741824 1048576 (hasSuffix "Gi" .) -}}
{{- div (mul (trimSuffix "Gi" . | trimSuffix "Mi" | int64) $unit 8) 10 -}}
{{- end -}}

{{/* Environment of a service or of the migration, without its own. Call with (list . $values). */}}
{{- define "catalog.env" -}}
{{- $v := (index . 0).Values -}}
{{- $own := index . 1 -}}
- name: GOMEMLIMIT
  value: {{ include "catalog.goMemLimit" $own.resources.limits.memory | quote }}
- name: CATALOG_KAFKA_BROKERS
  value: {{ required "kafka.brokers is required: addresses of the Kafka brokers, host:port, separated by commas" $v.kafka.brokers | quote }}
- name: CATALOG_KAFKA_TOPIC_PREFIX
  value: {{ $v.kafka.topicPrefix | quote }}
- name: CATALOG_KAFKA_PARTITIONS
  value: {{ $v.kafka.partitions | quote }}
- name: CATALOG_KAFKA_REPLICAS
  value: {{ $v.kafka.replicas | quote }}
{{- range $name, $value := $own.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* Environment that only the services have. */}}
{{- define "catalog.serviceEnv" -}}
{{- $v := .Values -}}
{{- if ge (int $v.shutdown.delaySeconds) (int $v.shutdown.timeoutSeconds) -}}
{{- fail "shutdown.delaySeconds must be less than shutdown.timeoutSeconds, which includes it" -}}
{{- end -}}
- name: CATALOG_SHUTDOWN_DELAY
  value: {{ printf "%ds" (int $v.shutdown.delaySeconds) }}
- name: CATALOG_SHUTDOWN_TIMEOUT
  value: {{ printf "%ds" (int $v.shutdown.timeoutSeconds) }}
- name: CATALOG_LOG_LEVEL
  value: {{ $v.log.level }}
{{- if $v.tracing.endpoint }}
- name: CATALOG_OTLP_ENDPOINT
  value: {{ $v.tracing.endpoint | quote }}
- name: CATALOG_OTLP_SAMPLE
  value: {{ $v.tracing.sample | quote }}
{{- end }}
{{- end -}}

{{/* A variable from a key of an existing Secret. Call with (list "CATALOG_POSTGRES_URL" $urlSecret "postgres"). */}}
{{- define "catalog.secretEnv" -}}
{{- $secret := index . 1 -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "%s.urlSecret.name is required: the name of an existing Secret" (index . 2)) $secret.name }}
      key: {{ $secret.key }}
{{- end -}}

{{/*
Probes of a service. Call with (list "check" …): the checks of /readyz that do not decide about traffic, because they
test what all Pods share. If Pods were not ready while an engine is down, requests would fail that can be served without
that engine.
*/}}
{{- define "catalog.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz?exclude={{ join "&exclude=" . }}
    port: admin
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}

{{/* Fields of the Pod that all services have. Call with (list . "gateway"). */}}
{{- define "catalog.pod" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $own := index $root.Values $name -}}
serviceAccountName: {{ include "catalog.fullname" $root }}
automountServiceAccountToken: false
# Variables that Kubernetes makes from the names of Services could hide those of the programs.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ add (int $root.Values.shutdown.timeoutSeconds) 5 }}
securityContext:
  {{- include "catalog.podSecurity" $root | nindent 2 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
topologySpreadConstraints:
  {{- range $topology := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $topology }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "catalog.selector" (list $root $name) | nindent 8 }}
  {{- end }}
{{- with $own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Metadata of a Pod template. */}}
{{- define "catalog.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $own := index $root.Values $name -}}
labels:
  {{- include "catalog.labels" . | nindent 2 }}
  {{- with $own.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $own.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "catalog.image" -}}
{{- $root := index . 0 -}}
image: {{ printf "%s/%s:%s" $root.Values.image.repository (index . 1) (include "catalog.tag" $root) | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
{{- end -}}
