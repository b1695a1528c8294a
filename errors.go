package catalog

import (
	"errors"
	"strings"
)

// Code is the kind of a refusal. It is written to the journal and sent to
// clients: a value is never renamed.
type Code string

// The kinds of refusals.
const (
	CodeInvalid   Code = "invalid"          // a field breaks a rule; Fields says which
	CodeNotFound  Code = "not_found"        // there is no such product
	CodeExists    Code = "exists"           // there is such a product already
	CodeVersion   Code = "version_mismatch" // the product is at another version than the command asked for
	CodeSKUTaken  Code = "sku_taken"        // another product has this SKU
	CodeKeyReused Code = "key_reused"       // this command id was used for another command
)

// Kinds of errors, for errors.Is.
var (
	ErrInvalid   = &Refusal{Code: CodeInvalid}
	ErrNotFound  = &Refusal{Code: CodeNotFound}
	ErrExists    = &Refusal{Code: CodeExists}
	ErrVersion   = &Refusal{Code: CodeVersion}
	ErrSKUTaken  = &Refusal{Code: CodeSKUTaken}
	ErrKeyReused = &Refusal{Code: CodeKeyReused}

	// ErrFenced says that a shard is not where the caller believed: another
	// writer owns it now. What the caller wanted to do has been or will be done
	// by the owner.
	ErrFenced = errors.New("the shard is owned by another writer")
	// ErrLost says that the log and the truth do not belong together any more, or
	// that something is missing between them. Nothing may be skipped: people have
	// to look, and catalog repair mends it.
	ErrInconsistent = errors.New("log and store do not fit")
	// ErrBehind says that a reader has not yet applied the position that was
	// asked for, within the time allowed. Trying again helps.
	ErrStale = errors.New("the read side has not yet reached the position asked for")
	// ErrUnknown says that what was asked for may or may not have happened, or
	// may still happen. Asking again with the same command id is safe.
	ErrOutcomeUnknown = errors.New("it is not known whether it was stored")
	// ErrSlow says that a question was given up, since it takes too long to answer.
	// Asking for less helps, and perhaps trying again.
	ErrTooSlow = errors.New("it takes too long to answer; ask for less, or try again")
	// ErrUnavailable says that a part of the system that is needed cannot be
	// reached. Trying again may help.
	ErrUnavailable = errors.New("not available")
)

// Refusal says why a command or a request cannot be done: the client's to
// mend, and the same however often it is repeated.
type Refusal struct {
	Code   Code
	Reason string       // one sentence for people
	Fields []FieldError // for CodeInvalid, at least one
}

// FieldError says what is wrong with one field and how to mend it.
type FieldError struct {
	Field  string `json:"field"`  // path such as price.amount
	Reason string `json:"reason"` // reads behind the field's name: "must not be empty"
}

// Invalid is the refusal of one field.
func Invalid(field, reason string) *Refusal {
	return &Refusal{Code: CodeInvalid, Fields: []FieldError{{field, reason}}}
}

// Add appends what is wrong with a field.
func (r *Refusal) Add(field, reason string) {
	r.Fields = append(r.Fields, FieldError{field, reason})
}

// Err is r as an error, or nil when nothing was added to it.
func (r *Refusal) Err() error {
	if len(r.Fields) == 0 {
		return nil
	}
	r.Code = CodeInvalid
	return r
}

// Error is the reason, or else the fields with theirs.
func (r *Refusal) Error() string {
	if r.Reason != "" || len(r.Fields) == 0 {
		return strings.TrimPrefix(r.Reason+" ("+string(r.Code)+")", " ")
	}
	var b strings.Builder
	for i, f := range r.Fields {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.Field + " " + f.Reason)
	}
	return b.String()
}

// Is makes a refusal match the Err value of its kind.
func (r *Refusal) Is(target error) bool {
	t, ok := target.(*Refusal)
	return ok && t.Code == r.Code && t.Reason == "" && t.Fields == nil
}
