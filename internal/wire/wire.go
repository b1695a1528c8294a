// Package wire is the only place where bytes and catalog types meet: protobuf
// for Kafka, gRPC, the journal, the cache and the index, JSON for people.
//
// Bytes from outside are never trusted: a decoder answers an error for what it
// cannot read, and never a half-filled value. The rules of products are not
// its business; [catalog.Draft.Validate] keeps those.
package wire

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
)

// marshal is deterministic, so that equal values have equal bytes in golden
// files and caches.
var marshal = proto.MarshalOptions{Deterministic: true}

// Time is t as it is kept everywhere: UTC, to the microsecond, which is what
// PostgreSQL can hold.
func TruncateTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return TruncateTime(t.AsTime())
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// ID reads the 16 bytes of an id.
func IDFromProto(b []byte) (catalog.ID, error) {
	if len(b) != 16 {
		return catalog.ID{}, fmt.Errorf("an id has 16 bytes, not %d", len(b))
	}
	return catalog.ID(b), nil
}

// EncodeCommand is the value of a record of the commands topic.
func EncodeCommand(c catalog.Command) ([]byte, error) {
	m := &catalogv1.Command{
		Id: c.ID[:], ProductId: c.Product[:],
		Actor: c.Actor, Trace: c.Trace, AcceptedAt: timestamppb.New(c.AcceptedAt),
	}
	if c.If != (catalog.Condition{}) {
		m.Condition = &catalogv1.Condition{Version: c.If.Version, Exists: c.If.Exists, Absent: c.If.Absent}
	}
	switch op := c.Op.(type) {
	case catalog.CreateProduct:
		m.Operation = &catalogv1.Command_Create{Create: &catalogv1.CreateProduct{Data: draftMessage(op.Data)}}
	case catalog.PutProduct:
		m.Operation = &catalogv1.Command_Put{Put: &catalogv1.PutProduct{Data: draftMessage(op.Data)}}
	case catalog.PatchProduct:
		m.Operation = &catalogv1.Command_Patch{Patch: &catalogv1.PatchProduct{Patch: patchMessage(op.Patch), Create: op.Create}}
	case catalog.DeleteProduct:
		m.Operation = &catalogv1.Command_Delete{Delete: &catalogv1.DeleteProduct{}}
	default:
		return nil, fmt.Errorf("encode command: no message for operation %T", c.Op)
	}
	return marshal.Marshal(m)
}

// DecodeCommand reads a record of the commands topic. An error means that no
// newer try will help.
func DecodeCommand(b []byte) (catalog.Command, error) {
	m := &catalogv1.Command{}
	if err := proto.Unmarshal(b, m); err != nil {
		return catalog.Command{}, fmt.Errorf("decode command: %w", err)
	}
	if err := protovalidate.Validate(m); err != nil {
		return catalog.Command{}, fmt.Errorf("decode command: %w", err)
	}
	if err := m.AcceptedAt.CheckValid(); err != nil { // no engine could store it
		return catalog.Command{}, fmt.Errorf("decode command: accepted at: %w", err)
	}
	c := catalog.Command{
		ID: catalog.ID(m.Id), Product: catalog.ID(m.ProductId),
		If:    catalog.Condition{Version: m.Condition.GetVersion(), Exists: m.Condition.GetExists(), Absent: m.Condition.GetAbsent()},
		Actor: m.Actor, Trace: m.Trace, AcceptedAt: timeOf(m.AcceptedAt),
	}
	switch op := m.Operation.(type) {
	case *catalogv1.Command_Create:
		c.Op = catalog.CreateProduct{Data: draft(op.Create.Data)}
	case *catalogv1.Command_Put:
		c.Op = catalog.PutProduct{Data: draft(op.Put.Data)}
	case *catalogv1.Command_Patch:
		c.Op = catalog.PatchProduct{Patch: patch(op.Patch.Patch), Create: op.Patch.Create}
	case *catalogv1.Command_Delete:
		c.Op = catalog.DeleteProduct{}
	}
	return c, nil
}

// EncodeEvent is the value of a record of the events topic and the payload of
// a journal row.
func EncodeEvent(e catalog.Event) ([]byte, error) { return marshal.Marshal(EventToProto(e)) }

// DecodeEvent reads what EncodeEvent has written.
func DecodeEvent(b []byte) (catalog.Event, error) {
	m := &catalogv1.Event{}
	if err := proto.Unmarshal(b, m); err != nil {
		return catalog.Event{}, fmt.Errorf("decode event: %w", err)
	}
	return EventFromProto(m)
}

var kinds = map[catalog.Outcome]catalogv1.Outcome{
	catalog.Created:   catalogv1.Outcome_OUTCOME_CREATED,
	catalog.Changed:   catalogv1.Outcome_OUTCOME_CHANGED,
	catalog.Deleted:   catalogv1.Outcome_OUTCOME_DELETED,
	catalog.Unchanged: catalogv1.Outcome_OUTCOME_UNCHANGED,
	catalog.Refused:   catalogv1.Outcome_OUTCOME_REFUSED,
}

// EventMessage is e as a message.
func EventToProto(e catalog.Event) *catalogv1.Event {
	m := &catalogv1.Event{
		Shard: e.Shard, Seq: e.Seq, Outcome: kinds[e.Outcome], Product: ProductToProto(e.Product),
		CommandId: e.Command[:], Fingerprint: e.Fingerprint[:], Actor: e.Actor, Trace: e.Trace,
		AcceptedAt: timestamp(e.AcceptedAt), SettledAt: timestamp(e.SettledAt), PreviousCategory: e.PreviousCategory,
	}
	if e.Refusal != nil {
		m.Refusal = &catalogv1.Refusal{Code: string(e.Refusal.Code), Reason: e.Refusal.Reason}
		for _, f := range e.Refusal.Fields {
			m.Refusal.Fields = append(m.Refusal.Fields, &catalogv1.FieldError{Field: f.Field, Reason: f.Reason})
		}
	}
	return m
}

// Event is m as a catalog type.
func EventFromProto(m *catalogv1.Event) (catalog.Event, error) {
	e := catalog.Event{
		Position: catalog.Position{Shard: m.GetShard(), Seq: m.GetSeq()},
		Actor:    m.GetActor(), Trace: m.GetTrace(),
		AcceptedAt: timeOf(m.GetAcceptedAt()), SettledAt: timeOf(m.GetSettledAt()), PreviousCategory: m.GetPreviousCategory(),
	}
	for k, v := range kinds {
		if v == m.GetOutcome() {
			e.Outcome = k
		}
	}
	if e.Outcome == "" {
		return catalog.Event{}, fmt.Errorf("decode event %s: unknown kind %d", e.Position, m.GetOutcome())
	}
	var err error
	if e.Product, err = ProductFromProto(m.GetProduct()); err != nil {
		return catalog.Event{}, fmt.Errorf("decode event %s: %w", e.Position, err)
	}
	if e.Command, err = IDFromProto(m.GetCommandId()); err != nil {
		return catalog.Event{}, fmt.Errorf("decode event %s: command: %w", e.Position, err)
	}
	copy(e.Fingerprint[:], m.GetFingerprint())
	if r := m.GetRefusal(); r != nil {
		e.Refusal = &catalog.Refusal{Code: catalog.Code(r.Code), Reason: r.Reason}
		for _, f := range r.Fields {
			e.Refusal.Add(f.GetField(), f.GetReason())
		}
	}
	return e, nil
}

// EncodeProduct is what the cache and the index keep of a product.
func EncodeProduct(p catalog.Product) ([]byte, error) { return marshal.Marshal(ProductToProto(p)) }

// DecodeProduct reads what EncodeProduct has written.
func DecodeProduct(b []byte) (catalog.Product, error) {
	m := &catalogv1.Product{}
	if err := proto.Unmarshal(b, m); err != nil {
		return catalog.Product{}, fmt.Errorf("decode product: %w", err)
	}
	return ProductFromProto(m)
}

// ProductMessage is p as a message.
func ProductToProto(p catalog.Product) *catalogv1.Product {
	m := &catalogv1.Product{
		Id: p.ID[:], Version: p.Version, Deleted: p.Deleted,
		CreatedAt: timestamp(p.CreatedAt), UpdatedAt: timestamp(p.UpdatedAt), PastPrices: pastPricesMessage(p.PastPrices),
	}
	if p.Exists() && p.Name != "" { // neither a tombstone nor the place of a refused command
		m.Data = draftMessage(p.ProductData)
	}
	return m
}

// Product is m as a catalog type.
func ProductFromProto(m *catalogv1.Product) (catalog.Product, error) {
	id, err := IDFromProto(m.GetId())
	if err != nil {
		return catalog.Product{}, fmt.Errorf("decode product: %w", err)
	}
	return catalog.Product{
		ID: id, ProductData: draft(m.GetData()), Version: m.GetVersion(), Deleted: m.GetDeleted(),
		CreatedAt: timeOf(m.GetCreatedAt()), UpdatedAt: timeOf(m.GetUpdatedAt()), PastPrices: pastPrices(m.GetPastPrices()),
	}, nil
}

// EncodePastPrices is what the truth keeps of past prices; none is no bytes.
func EncodePastPrices(past []catalog.PastPrice) ([]byte, error) {
	b, err := marshal.Marshal(pastPricesMessage(past))
	return append([]byte{}, b...), err // never nil, which would be NULL
}

// DecodePastPrices reads what EncodePastPrices has written.
func DecodePastPrices(b []byte) ([]catalog.PastPrice, error) {
	m := &catalogv1.PastPrices{}
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("decode past prices: %w", err)
	}
	return pastPrices(m), nil
}

func pastPricesMessage(past []catalog.PastPrice) *catalogv1.PastPrices {
	if len(past) == 0 {
		return nil
	}
	m := &catalogv1.PastPrices{Prices: make([]*catalogv1.PastPrice, len(past))}
	for i, p := range past {
		m.Prices[i] = &catalogv1.PastPrice{Price: moneyMessage(p.Money), Until: timestamp(p.Until)}
	}
	return m
}

func pastPrices(m *catalogv1.PastPrices) []catalog.PastPrice {
	var past []catalog.PastPrice
	for _, p := range m.GetPrices() {
		past = append(past, catalog.PastPrice{Money: money(p.GetPrice()), Until: timeOf(p.GetUntil())})
	}
	return past
}

func moneyMessage(m catalog.Money) *catalogv1.Money {
	return &catalogv1.Money{CurrencyCode: m.Currency, Units: m.Units, Nanos: m.Nanos}
}

func money(m *catalogv1.Money) catalog.Money {
	return catalog.Money{Decimal: catalog.Decimal{Units: m.GetUnits(), Nanos: m.GetNanos()}, Currency: m.GetCurrencyCode()}
}

func draftMessage(d catalog.ProductData) *catalogv1.ProductData {
	return &catalogv1.ProductData{
		Sku: d.SKU, Name: d.Name, Description: d.Description, Category: d.Category,
		Price: moneyMessage(d.Price),
		Tags:  d.Tags, Attributes: d.Attributes,
	}
}

func draft(m *catalogv1.ProductData) catalog.ProductData {
	return catalog.ProductData{
		SKU: m.GetSku(), Name: m.GetName(), Description: m.GetDescription(), Category: m.GetCategory(),
		Price: money(m.GetPrice()),
		Tags:  m.GetTags(), Attributes: m.GetAttributes(),
	}
}

func patchMessage(p catalog.Patch) *catalogv1.Patch {
	m := &catalogv1.Patch{
		Sku: p.SKU, Name: p.Name, Description: p.Description, Currency: p.Currency, Category: p.Category,
		Amount: DecimalToProto(p.Amount), ClearAttributes: p.ClearAttributes,
	}
	if p.Tags != nil {
		m.Tags = &catalogv1.TagList{Tags: *p.Tags}
	}
	for _, k := range slices.Sorted(maps.Keys(p.Attributes)) { // equal patches have equal bytes
		v := p.Attributes[k]
		if v == nil {
			m.RemoveAttributes = append(m.RemoveAttributes, k)
			continue
		}
		if m.SetAttributes == nil {
			m.SetAttributes = map[string]string{}
		}
		m.SetAttributes[k] = *v
	}
	return m
}

func patch(m *catalogv1.Patch) catalog.Patch {
	p := catalog.Patch{
		SKU: m.Sku, Name: m.Name, Description: m.Description, Currency: m.Currency, Category: m.Category,
		Amount: DecimalFromProto(m.Amount), ClearAttributes: m.ClearAttributes,
	}
	if m.Tags != nil {
		p.Tags = &m.Tags.Tags
	}
	if n := len(m.SetAttributes) + len(m.RemoveAttributes); n > 0 {
		p.Attributes = make(map[string]*string, n)
	}
	for _, k := range m.RemoveAttributes {
		p.Attributes[k] = nil
	}
	for k, v := range m.SetAttributes {
		p.Attributes[k] = &v
	}
	return p
}

// DecimalMessage is d as a message; nil stays nil.
func DecimalToProto(d *catalog.Decimal) *catalogv1.Decimal {
	if d == nil {
		return nil
	}
	return &catalogv1.Decimal{Units: d.Units, Nanos: d.Nanos}
}

// Decimal is m as a catalog type; nil stays nil.
func DecimalFromProto(m *catalogv1.Decimal) *catalog.Decimal {
	if m == nil {
		return nil
	}
	return &catalog.Decimal{Units: m.Units, Nanos: m.Nanos}
}
