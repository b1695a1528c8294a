package main

import (
	"context"
	"net"
	"strings"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// spanReceiver is an OTLP endpoint that calls receive with each span and the service
// that sent it. Calls may be concurrent.
type spanReceiver struct {
	collector.UnimplementedTraceServiceServer
	receive func(service string, span *trace.Span)
}

// receiveSpans starts a spanReceiver and returns its address. Call stop at the end.
func receiveSpans(receive func(service string, span *trace.Span)) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, spanReceiver{receive: receive})
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), server.Stop, nil
}

// Export implements collector.TraceServiceServer.
func (s spanReceiver) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, resource := range r.GetResourceSpans() {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = strings.TrimPrefix(a.GetValue().GetStringValue(), "catalog-")
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				s.receive(service, span)
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}
