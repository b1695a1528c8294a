package rpc

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"catalog"
)

// errorDomain marks the google.rpc.ErrorInfo whose reason is a code of the error
// model, in capitals.
const errorDomain = "catalog"

// ToStatus returns err as a gRPC status by the error model of the root package.
// The status has a google.rpc.ErrorInfo with the code, and a
// google.rpc.BadRequest when err has fields. An error that is not in the model
// becomes INTERNAL without a detail; the server logs it.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	kind := catalog.KindOf(err)
	var refusal *catalog.Refusal
	switch {
	case kind.Code == catalog.CodeInternal:
	case errors.As(err, &refusal):
		return statusOf(kind, err.Error(), refusal.Fields)
	default:
		return statusOf(kind, kind.Err.Error(), nil)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the deadline of the call has passed")
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the caller canceled the call")
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return &hiddenError{err}
}

func statusOf(kind catalog.ErrorKind, message string, fields []catalog.FieldError) error {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Domain: errorDomain, Reason: strings.ToUpper(string(kind.Code))}}
	if len(fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range fields {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: f.Field, Description: f.Reason})
		}
		details = append(details, bad)
	}
	plain := status.New(codes.Code(kind.GRPCCode), message)
	s, err := plain.WithDetails(details...)
	if err != nil { // the details cannot be encoded
		return plain.Err()
	}
	return s.Err()
}

// CodeOf returns the code of the error model for the error of a call: that of
// the status's google.rpc.ErrorInfo, or else one that fits its gRPC code. An
// error that is not a status has the code of catalog.KindOf.
func CodeOf(err error) catalog.Code {
	s, ok := status.FromError(err)
	if !ok {
		return catalog.KindOf(err).Code
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == errorDomain {
			return catalog.Code(strings.ToLower(info.GetReason())).Kind().Code
		}
	}
	switch s.Code() {
	case codes.DeadlineExceeded, codes.Canceled: // set by the caller's own context, or by a server that is not ours
		return catalog.CodeUnavailable
	case codes.Unknown, codes.Aborted: // codes with many meanings
		return catalog.CodeInternal
	}
	for _, k := range catalog.ErrorKinds {
		if codes.Code(k.GRPCCode) == s.Code() {
			return k.Code
		}
	}
	return catalog.CodeInternal
}

// Fields returns the fields that ToStatus put into err, or nil.
func Fields(err error) []catalog.FieldError {
	var fields []catalog.FieldError
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.FieldViolations {
				fields = append(fields, catalog.FieldError{Field: v.Field, Reason: v.Description})
			}
		}
	}
	return fields
}

// hiddenError is an error that the server logs and does not return to the caller.
type hiddenError struct{ error }

func (h *hiddenError) GRPCStatus() *status.Status {
	return status.New(codes.Internal, "internal error")
}

func (h *hiddenError) Unwrap() error { return h.error }
