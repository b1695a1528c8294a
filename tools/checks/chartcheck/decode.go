package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// scaledObject has the fields of KEDA's ScaledObject that the chart may use. KEDA's own Go
// module brings half of Kubernetes.
type scaledObject struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		ScaleTargetRef struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Name       string `json:"name"`
		} `json:"scaleTargetRef"`
		PollingInterval int32 `json:"pollingInterval"`
		CooldownPeriod  int32 `json:"cooldownPeriod"`
		MinReplicaCount int32 `json:"minReplicaCount"`
		MaxReplicaCount int32 `json:"maxReplicaCount"`
		Advanced        struct {
			HorizontalPodAutoscalerConfig struct {
				Behavior autoscaling.HorizontalPodAutoscalerBehavior `json:"behavior"`
			} `json:"horizontalPodAutoscalerConfig"`
		} `json:"advanced"`
		Triggers []struct {
			Type     string            `json:"type"`
			Metadata map[string]string `json:"metadata"`
		} `json:"triggers"`
	} `json:"spec"`
}

// workload is a Deployment, a StatefulSet or a Job.
type workload struct {
	kind     string
	meta     meta.ObjectMeta
	selector *meta.LabelSelector // nil for a Job
	replicas *int32
	claims   []core.PersistentVolumeClaim
	template core.PodTemplateSpec
}

// objects are the objects of a rendered chart.
type objects struct {
	names           map[string]bool // names of the objects, as kind/name
	metas           []described
	workloads       []workload
	services        []core.Service
	accounts        []core.ServiceAccount
	budgets         []policy.PodDisruptionBudget
	networkPolicies []networking.NetworkPolicy
	ingresses       []networking.Ingress
	scalers         []autoscaling.HorizontalPodAutoscaler
	scaledObjects   []scaledObject
	podMonitors     []monitoring.PodMonitor
	rules           []monitoring.PrometheusRule
	configMaps      []core.ConfigMap
}

type described struct {
	kind string
	meta meta.ObjectMeta
}

var separator = regexp.MustCompile(`(?m)^---\s*$`)

// decode decodes each document by the type of its kind. An unknown kind or field, a field
// that occurs twice and a value of the wrong type are findings.
func decode(manifests string) (*objects, []string) {
	o := &objects{names: map[string]bool{}}
	var findings []string
	for _, document := range separator.Split(manifests, -1) {
		var head struct {
			meta.TypeMeta `json:",inline"`
			Metadata      meta.ObjectMeta `json:"metadata"`
		}
		if strings.TrimSpace(document) == "" {
			continue
		}
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			findings = append(findings, fmt.Sprintf("a document cannot be decoded: %v\n%s", err, document))
			continue
		}
		if head.Kind == "" {
			continue // comments only
		}
		id := head.Kind + "/" + head.Metadata.Name
		if o.names[id] {
			findings = append(findings, id+" occurs twice")
		}
		o.names[id] = true
		o.metas = append(o.metas, described{head.Kind, head.Metadata})
		if err := o.add(head.APIVersion+" "+head.Kind, []byte(document)); err != nil {
			findings = append(findings, fmt.Sprintf("%s: %v", id, err))
		}
	}
	return o, findings
}

func (o *objects) add(kind string, document []byte) error {
	switch kind {
	case "apps/v1 Deployment":
		d, err := strictly[apps.Deployment](document)
		o.workloads = append(o.workloads, workload{"Deployment", d.ObjectMeta, d.Spec.Selector, d.Spec.Replicas, nil, d.Spec.Template})
		return err
	case "apps/v1 StatefulSet":
		s, err := strictly[apps.StatefulSet](document)
		o.workloads = append(o.workloads, workload{"StatefulSet", s.ObjectMeta, s.Spec.Selector, s.Spec.Replicas, s.Spec.VolumeClaimTemplates, s.Spec.Template})
		return err
	case "batch/v1 Job":
		j, err := strictly[batch.Job](document)
		o.workloads = append(o.workloads, workload{"Job", j.ObjectMeta, nil, nil, nil, j.Spec.Template})
		return err
	case "v1 Service":
		return appendTo(&o.services, document)
	case "v1 ServiceAccount":
		return appendTo(&o.accounts, document)
	case "v1 ConfigMap":
		return appendTo(&o.configMaps, document)
	case "policy/v1 PodDisruptionBudget":
		return appendTo(&o.budgets, document)
	case "networking.k8s.io/v1 NetworkPolicy":
		return appendTo(&o.networkPolicies, document)
	case "networking.k8s.io/v1 Ingress":
		return appendTo(&o.ingresses, document)
	case "autoscaling/v2 HorizontalPodAutoscaler":
		return appendTo(&o.scalers, document)
	case "keda.sh/v1alpha1 ScaledObject":
		return appendTo(&o.scaledObjects, document)
	case "monitoring.coreos.com/v1 PodMonitor":
		return appendTo(&o.podMonitors, document)
	case "monitoring.coreos.com/v1 PrometheusRule":
		return appendTo(&o.rules, document)
	}
	return fmt.Errorf("%s is not a kind that the chart may create", kind)
}

func appendTo[T any](to *[]T, document []byte) error {
	v, err := strictly[T](document)
	*to = append(*to, v)
	return err
}

// strictly decodes as the API server does with strict validation: names of fields have the
// right case, and none is unknown or occurs twice.
func strictly[T any](document []byte) (v T, err error) {
	asJSON, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return v, err
	}
	strict, err := json.UnmarshalStrict(asJSON, &v)
	return v, errors.Join(append(strict, err)...)
}

// checkExamples checks that each document of the examples names its type and object. Pods are
// decoded strictly and held against the rules of security; the types of the operators are not
// known here.
func checkExamples(dir string) (findings []string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "examples", "*.yaml"))
	if err != nil {
		return nil, err
	}
	var r report
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		at := "examples/" + filepath.Base(file)
		for _, document := range separator.Split(string(content), -1) {
			var head struct {
				meta.TypeMeta `json:",inline"`
				Metadata      meta.ObjectMeta `json:"metadata"`
			}
			if err := yaml.Unmarshal([]byte(document), &head); err != nil || head.APIVersion == "" || head.Kind == "" || head.Metadata.Name == "" {
				r.add("%s: a document has no apiVersion, kind or name: %v", at, err)
				continue
			}
			if head.APIVersion != "v1" || head.Kind != "Pod" {
				continue
			}
			pod, err := strictly[core.Pod]([]byte(document))
			if err != nil {
				r.add("%s: %v", at, err)
				continue
			}
			checkSecurity(&r, at, pod.Spec)
		}
	}
	return r, nil
}
