package wire

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
)

// marshal is deterministic: equal values have equal bytes, in golden files and in
// caches.
var marshal = proto.MarshalOptions{Deterministic: true}

func timeFromProto(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return TruncateTime(t.AsTime())
}

func timeToProto(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// IDFromProto returns the id with the given 16 bytes.
func IDFromProto(b []byte) (catalog.ID, error) {
	if len(b) != 16 {
		return catalog.ID{}, fmt.Errorf("an id has 16 bytes, not %d", len(b))
	}
	return catalog.ID(b), nil
}

// EncodeCommand returns the value of a record of the commands topic.
func EncodeCommand(c catalog.Command) ([]byte, error) {
	m := &catalogv1.Command{
		Id: c.ID[:], ProductId: c.Product[:],
		Actor: c.Actor, Trace: c.Trace, AcceptedAt: timestamppb.New(c.AcceptedAt),
	}
	if c.If.Version != 0 || c.If.Exists || c.If.Absent || len(c.If.OrVersions) > 0 {
		m.Condition = &catalogv1.Condition{Version: c.If.Version, Exists: c.If.Exists, Absent: c.If.Absent, OrVersions: c.If.OrVersions}
	}
	switch op := c.Op.(type) {
	case catalog.CreateProduct:
		m.Operation = &catalogv1.Command_Create{Create: &catalogv1.CreateProduct{Data: productDataToProto(op.Data)}}
	case catalog.PutProduct:
		m.Operation = &catalogv1.Command_Put{Put: &catalogv1.PutProduct{Data: productDataToProto(op.Data)}}
	case catalog.PatchProduct:
		m.Operation = &catalogv1.Command_Patch{Patch: &catalogv1.PatchProduct{Patch: patchToProto(op.Patch), Create: op.Create}}
	case catalog.DeleteProduct:
		m.Operation = &catalogv1.Command_Delete{Delete: &catalogv1.DeleteProduct{}}
	case catalog.VoidPrice:
		m.Operation = &catalogv1.Command_VoidPrice{VoidPrice: voidPriceToProto(op)}
	default:
		return nil, fmt.Errorf("encode command: no message for operation %T", c.Op)
	}
	return marshal.Marshal(m)
}

// DecodeCommand decodes the value of a record of the commands topic. An error is
// permanent: the record is a dead letter.
func DecodeCommand(b []byte) (catalog.Command, error) {
	m := &catalogv1.Command{}
	if err := proto.Unmarshal(b, m); err != nil {
		return catalog.Command{}, fmt.Errorf("decode command: %w", err)
	}
	if hasUnknown(m.ProtoReflect()) {
		return catalog.Command{}, errors.New("decode command: it has fields that this version does not know; update the writers, then run catalog dead-letters replay")
	}
	// The first error is enough: one record can break a rule a hundred thousand times.
	if err := protovalidate.Validate(m, protovalidate.WithFailFast()); err != nil {
		return catalog.Command{}, fmt.Errorf("decode command: %w", err)
	}
	if err := m.AcceptedAt.CheckValid(); err != nil { // no engine can store such a time
		return catalog.Command{}, fmt.Errorf("decode command: accepted at: %w", err)
	}
	if zero := (catalog.ID{}); catalog.ID(m.Id) == zero || catalog.ID(m.ProductId) == zero { // stores and cursors use the zero id for "none"
		return catalog.Command{}, errors.New("decode command: an id is zero")
	}
	c := catalog.Command{
		ID: catalog.ID(m.Id), Product: catalog.ID(m.ProductId),
		If:    catalog.Condition{Version: m.Condition.GetVersion(), Exists: m.Condition.GetExists(), Absent: m.Condition.GetAbsent(), OrVersions: m.Condition.GetOrVersions()},
		Actor: m.Actor, Trace: m.Trace, AcceptedAt: timeFromProto(m.AcceptedAt),
	}
	switch op := m.Operation.(type) {
	case *catalogv1.Command_Create:
		c.Op = catalog.CreateProduct{Data: productDataFromProto(op.Create.Data)}
	case *catalogv1.Command_Put:
		c.Op = catalog.PutProduct{Data: productDataFromProto(op.Put.Data)}
	case *catalogv1.Command_Patch:
		c.Op = catalog.PatchProduct{Patch: patchFromProto(op.Patch.Patch), Create: op.Patch.Create}
	case *catalogv1.Command_Delete:
		c.Op = catalog.DeleteProduct{}
	case *catalogv1.Command_VoidPrice:
		c.Op = voidPriceFromProto(op.VoidPrice)
	}
	return c, nil
}

func voidPriceToProto(v catalog.VoidPrice) *catalogv1.VoidPrice {
	return &catalogv1.VoidPrice{Price: moneyToProto(v.Price), Reason: v.Reason}
}

func voidPriceFromProto(m *catalogv1.VoidPrice) catalog.VoidPrice {
	return catalog.VoidPrice{Price: moneyFromProto(m.GetPrice()), Reason: m.GetReason()}
}

// hasUnknown reports whether m, or a message in it, has fields of a newer version. A
// command without them could be another one.
func hasUnknown(m protoreflect.Message) bool {
	unknown := len(m.GetUnknown()) > 0
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() != nil && !f.IsMap() && !f.IsList() {
			unknown = unknown || hasUnknown(v.Message())
		}
		return !unknown
	})
	return unknown
}

// EncodeEvent returns the value of a record of the events topic, which is also
// the payload of a journal row.
func EncodeEvent(e catalog.Event) ([]byte, error) { return marshal.Marshal(EventToProto(e)) }

// DecodeEvent decodes the result of EncodeEvent.
func DecodeEvent(b []byte) (catalog.Event, error) {
	m := &catalogv1.Event{}
	if err := proto.Unmarshal(b, m); err != nil {
		return catalog.Event{}, fmt.Errorf("decode event: %w", err)
	}
	return EventFromProto(m)
}

var outcomes = map[catalog.Outcome]catalogv1.Outcome{
	catalog.Created:   catalogv1.Outcome_OUTCOME_CREATED,
	catalog.Changed:   catalogv1.Outcome_OUTCOME_CHANGED,
	catalog.Deleted:   catalogv1.Outcome_OUTCOME_DELETED,
	catalog.Unchanged: catalogv1.Outcome_OUTCOME_UNCHANGED,
	catalog.Refused:   catalogv1.Outcome_OUTCOME_REFUSED,
}

// EventToProto converts e to a message.
func EventToProto(e catalog.Event) *catalogv1.Event {
	m := &catalogv1.Event{
		Shard: e.Shard, Seq: e.Seq, Outcome: outcomes[e.Outcome], Product: ProductToProto(e.Product),
		CommandId: e.Command[:], Fingerprint: e.Fingerprint[:], Actor: e.Actor, Trace: e.Trace,
		AcceptedAt: timeToProto(e.AcceptedAt), SettledAt: timeToProto(e.SettledAt), PreviousCategory: e.PreviousCategory,
	}
	if e.Refusal != nil {
		m.Refusal = &catalogv1.Refusal{Code: string(e.Refusal.Code), Reason: e.Refusal.Reason}
		for _, f := range e.Refusal.Fields {
			m.Refusal.Fields = append(m.Refusal.Fields, &catalogv1.FieldError{Field: f.Field, Reason: f.Reason})
		}
	}
	if e.Void != nil {
		m.VoidPrice = voidPriceToProto(*e.Void)
	}
	return m
}

// EventFromProto converts m to an event.
func EventFromProto(m *catalogv1.Event) (catalog.Event, error) {
	e := catalog.Event{
		Position: catalog.Position{Shard: m.GetShard(), Seq: m.GetSeq()},
		Actor:    m.GetActor(), Trace: m.GetTrace(),
		AcceptedAt: timeFromProto(m.GetAcceptedAt()), SettledAt: timeFromProto(m.GetSettledAt()), PreviousCategory: m.GetPreviousCategory(),
	}
	for k, v := range outcomes {
		if v == m.GetOutcome() {
			e.Outcome = k
		}
	}
	if e.Outcome == "" {
		return catalog.Event{}, fmt.Errorf("decode event %s: unknown outcome %d", e.Position, m.GetOutcome())
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
		for _, f := range r.Fields { // the list is complete, with the entry that counts the others
			e.Refusal.Fields = append(e.Refusal.Fields, catalog.FieldError{Field: f.GetField(), Reason: f.GetReason()})
		}
	}
	if v := m.GetVoidPrice(); v != nil {
		void := voidPriceFromProto(v)
		e.Void = &void
	}
	return e, nil
}

// EncodeProduct returns the bytes that the cache and the index store for p.
func EncodeProduct(p catalog.Product) ([]byte, error) { return marshal.Marshal(ProductToProto(p)) }

// DecodeProduct decodes the result of EncodeProduct.
func DecodeProduct(b []byte) (catalog.Product, error) {
	m := &catalogv1.Product{}
	if err := proto.Unmarshal(b, m); err != nil {
		return catalog.Product{}, fmt.Errorf("decode product: %w", err)
	}
	return ProductFromProto(m)
}

// ProductToProto converts p to a message.
func ProductToProto(p catalog.Product) *catalogv1.Product {
	m := &catalogv1.Product{
		Id: p.ID[:], Version: p.Version, Deleted: p.Deleted,
		CreatedAt: timeToProto(p.CreatedAt), UpdatedAt: timeToProto(p.UpdatedAt), PastPrices: pastPricesToProto(p.PastPrices),
	}
	if p.Exists() && p.Name != "" { // not a tombstone, and not the product of a refused command
		m.Data = productDataToProto(p.ProductData)
	}
	return m
}

// ProductFromProto converts m to a product.
func ProductFromProto(m *catalogv1.Product) (catalog.Product, error) {
	id, err := IDFromProto(m.GetId())
	if err != nil {
		return catalog.Product{}, fmt.Errorf("decode product: %w", err)
	}
	return catalog.Product{
		ID: id, ProductData: productDataFromProto(m.GetData()), Version: m.GetVersion(), Deleted: m.GetDeleted(),
		CreatedAt: timeFromProto(m.GetCreatedAt()), UpdatedAt: timeFromProto(m.GetUpdatedAt()), PastPrices: pastPricesFromProto(m.GetPastPrices()),
	}, nil
}

// EncodePastPrices returns the bytes that the store of the writer keeps for past
// prices. They are empty, and not nil, when there are none.
func EncodePastPrices(past []catalog.PastPrice) ([]byte, error) {
	b, err := marshal.Marshal(pastPricesToProto(past))
	return append([]byte{}, b...), err // nil would be stored as NULL
}

// DecodePastPrices decodes the result of EncodePastPrices.
func DecodePastPrices(b []byte) ([]catalog.PastPrice, error) {
	m := &catalogv1.PastPrices{}
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("decode past prices: %w", err)
	}
	return pastPricesFromProto(m), nil
}

func pastPricesToProto(past []catalog.PastPrice) *catalogv1.PastPrices {
	if len(past) == 0 {
		return nil
	}
	m := &catalogv1.PastPrices{Prices: make([]*catalogv1.PastPrice, len(past))}
	for i, p := range past {
		m.Prices[i] = &catalogv1.PastPrice{Price: moneyToProto(p.Money), Until: timeToProto(p.Until)}
	}
	return m
}

func pastPricesFromProto(m *catalogv1.PastPrices) []catalog.PastPrice {
	var past []catalog.PastPrice
	for _, p := range m.GetPrices() {
		past = append(past, catalog.PastPrice{Money: moneyFromProto(p.GetPrice()), Until: timeFromProto(p.GetUntil())})
	}
	return past
}

func moneyToProto(m catalog.Money) *catalogv1.Money {
	return &catalogv1.Money{CurrencyCode: m.Currency, Units: m.Units, Nanos: m.Nanos}
}

func moneyFromProto(m *catalogv1.Money) catalog.Money {
	return catalog.Money{Decimal: catalog.Decimal{Units: m.GetUnits(), Nanos: m.GetNanos()}, Currency: m.GetCurrencyCode()}
}

func productDataToProto(d catalog.ProductData) *catalogv1.ProductData {
	return &catalogv1.ProductData{
		Sku: d.SKU, Gtin: d.GTIN, Name: d.Name, Brand: d.Brand, Description: d.Description, Category: d.Category,
		Price: moneyToProto(d.Price),
		Tags:  d.Tags, Attributes: d.Attributes,
	}
}

func productDataFromProto(m *catalogv1.ProductData) catalog.ProductData {
	return catalog.ProductData{
		SKU: m.GetSku(), GTIN: m.GetGtin(), Name: m.GetName(), Brand: m.GetBrand(), Description: m.GetDescription(), Category: m.GetCategory(),
		Price: moneyFromProto(m.GetPrice()),
		Tags:  m.GetTags(), Attributes: m.GetAttributes(),
	}
}

func patchToProto(p catalog.Patch) *catalogv1.Patch {
	m := &catalogv1.Patch{
		Sku: p.SKU, Gtin: p.GTIN, Name: p.Name, Brand: p.Brand, Description: p.Description, Currency: p.Currency, Category: p.Category,
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

func patchFromProto(m *catalogv1.Patch) catalog.Patch {
	p := catalog.Patch{
		SKU: m.Sku, GTIN: m.Gtin, Name: m.Name, Brand: m.Brand, Description: m.Description, Currency: m.Currency, Category: m.Category,
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

// DecimalToProto converts d to a message; nil stays nil.
func DecimalToProto(d *catalog.Decimal) *catalogv1.Decimal {
	if d == nil {
		return nil
	}
	return &catalogv1.Decimal{Units: d.Units, Nanos: d.Nanos}
}

// DecimalFromProto converts m to a decimal; nil stays nil.
func DecimalFromProto(m *catalogv1.Decimal) *catalog.Decimal {
	if m == nil {
		return nil
	}
	return &catalog.Decimal{Units: m.Units, Nanos: m.Nanos}
}

// EncodeDeadLetter returns the bytes that the store of the writer keeps for d.
func EncodeDeadLetter(d eventlog.DeadLetter) ([]byte, error) {
	return marshal.Marshal(DeadLetterToProto(d))
}

// DecodeDeadLetter decodes the result of EncodeDeadLetter.
func DecodeDeadLetter(b []byte) (eventlog.DeadLetter, error) {
	m := &catalogv1.DeadLetter{}
	if err := proto.Unmarshal(b, m); err != nil {
		return eventlog.DeadLetter{}, fmt.Errorf("decode dead letter: %w", err)
	}
	return DeadLetterFromProto(m), nil
}

// DeadLetterToProto converts d to a message.
func DeadLetterToProto(d eventlog.DeadLetter) *catalogv1.DeadLetter {
	m := &catalogv1.DeadLetter{
		Shard: d.Shard, Number: d.Seq, Offset: d.Offset, Cause: d.Cause, At: timeToProto(d.At),
		Key: d.Key, Value: d.Value, Size: int64(d.Size),
	}
	for _, h := range d.Headers {
		m.Headers = append(m.Headers, &catalogv1.Header{Key: []byte(h.Key), Value: h.Value})
	}
	return m
}

// DeadLetterFromProto converts m to a dead letter.
func DeadLetterFromProto(m *catalogv1.DeadLetter) eventlog.DeadLetter {
	d := eventlog.DeadLetter{
		Position: catalog.Position{Shard: m.GetShard(), Seq: m.GetNumber()}, Offset: m.GetOffset(),
		Cause: m.GetCause(), At: timeFromProto(m.GetAt()), Key: m.GetKey(), Value: m.GetValue(), Size: int(m.GetSize()),
	}
	for _, h := range m.GetHeaders() {
		d.Headers = append(d.Headers, eventlog.RecordHeader{Key: string(h.GetKey()), Value: h.GetValue()})
	}
	return d
}
