package main

import (
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestReceiveSpans(t *testing.T) {
	t.Parallel()
	var got []string
	address, stop, err := receiveSpans(func(service string, span *trace.Span) { got = append(got, service+": "+span.GetName()) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	name := &common.KeyValue{Key: "service.name", Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: "catalog-writer"}}}
	_, err = collector.NewTraceServiceClient(conn).Export(t.Context(), &collector.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{
		Resource:   &resource.Resource{Attributes: []*common.KeyValue{name}},
		ScopeSpans: []*trace.ScopeSpans{{Spans: []*trace.Span{{Name: "settle"}}}},
	}}})
	if err != nil || len(got) != 1 || got[0] != "writer: settle" {
		t.Fatalf("received %q, %v; want [writer: settle]", got, err)
	}
}
