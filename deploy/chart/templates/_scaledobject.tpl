{{/* A ScaledObject of KEDA by the lag of a topic. Call with (list . "writer" "commands" "Deployment"). */}}
{{- define "catalog.scaledObject" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $own := index $root.Values $name -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ include "catalog.fullname" $root }}-{{ $name }}
  labels:
    {{- include "catalog.labels" (list $root $name) | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ index . 3 }}
    name: {{ include "catalog.fullname" $root }}-{{ $name }}
  pollingInterval: 15
  # Each change of the number of Pods moves shards between them, so Pods are removed slowly.
  cooldownPeriod: 300
  minReplicaCount: {{ $own.autoscaling.minReplicas }}
  maxReplicaCount: {{ $own.autoscaling.maxReplicas }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleDown:
          stabilizationWindowSeconds: 300
  triggers:
    - type: kafka
      metadata:
        bootstrapServers: {{ $root.Values.kafka.brokers | quote }}
        consumerGroup: {{ printf "%s.%s" $root.Values.kafka.topicPrefix $name | quote }}
        topic: {{ printf "%s.%s" $root.Values.kafka.topicPrefix (index . 2) | quote }}
        lagThreshold: {{ $own.autoscaling.lagThreshold | quote }}
{{- end -}}
