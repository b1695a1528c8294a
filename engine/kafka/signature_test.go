package kafka

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/daemon"
)

const secretA, secretB = "a-secret-of-22-letters", "b-secret-of-22-letters"

func TestSigner(t *testing.T) {
	record := func() *kgo.Record {
		return &kgo.Record{Topic: "catalog.events", Partition: 3, Key: []byte("key"), Value: []byte("value")}
	}
	for _, c := range []struct {
		name, sign, verify string
		change             func(*kgo.Record)
		valid              bool
	}{
		{"without secrets every record is valid", "", "", func(*kgo.Record) {}, true},
		{"a signed record is valid", secretA, secretA, func(*kgo.Record) {}, true},
		{"any secret of the list verifies", secretA, secretB + "," + secretA, func(*kgo.Record) {}, true},
		{"another secret does not verify", secretA, secretB, func(*kgo.Record) {}, false},
		{"a record without a signature is refused", "", secretA, func(*kgo.Record) {}, false},
		{"a comma at the end accepts a record without a signature", "", secretA + ",", func(*kgo.Record) {}, true},
		{"a comma at the end accepts no wrong signature", secretB, secretA + ",", func(*kgo.Record) {}, false},
		{"another value is refused", secretA, secretA, func(r *kgo.Record) { r.Value = []byte("other") }, false},
		{"another key is refused", secretA, secretA, func(r *kgo.Record) { r.Key = nil }, false},
		{"a copy in another partition is refused", secretA, secretA, func(r *kgo.Record) { r.Partition = 4 }, false},
		{"a copy in another topic is refused", secretA, secretA, func(r *kgo.Record) { r.Topic = "catalog.commands" }, false},
		{"bytes that move from key to value are refused", secretA, secretA, func(r *kgo.Record) { r.Key, r.Value = []byte("keyv"), []byte("alue") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			signs, err := newSigner(c.sign)
			if err != nil {
				t.Fatal(err)
			}
			verifies, err := newSigner(c.verify)
			if err != nil {
				t.Fatal(err)
			}
			r := signs.sign(record())
			c.change(r)
			if err := verifies.verify(r); (err == nil) != c.valid {
				t.Errorf("verify = %v; want valid: %v", err, c.valid)
			}
		})
	}
	t.Run("a short secret is an error, and no secret is printed", func(t *testing.T) {
		for _, secrets := range []string{"short", secretA + ",short", ",", ",,"} {
			if _, err := newSigner(secrets); err == nil {
				t.Errorf("newSigner(%q) = nil; want an error", secrets)
			}
		}
		if masked := daemon.Mask("kafka.hmac-secret", secretA); masked == secretA {
			t.Error("the start line has the secret")
		}
	})
}

func TestConsumer_signatures(t *testing.T) {
	t.Run("records without a valid signature are dead letters", func(t *testing.T) {
		broker := fakeBroker(t)
		cfg := testConfig(t, broker)
		forger := openLog(t, cfg)
		cfg.HMACSecret = secretA
		l := openLog(t, cfg)
		publish(t, l, event(1, 1))
		publish(t, forger, event(1, 2))
		publish(t, l, event(1, 2))
		publish(t, forger, event(1, 3))
		if seq, err := l.LastSeq(t.Context(), 1, 0); seq != 2 || err != nil {
			t.Errorf("LastSeq = %d, %v; want that of the last signed event, 2", seq, err)
		}
		c := newRecorder[catalog.Event]()
		var letters atomic.Int64
		c.handle = func(_ context.Context, r eventlog.Records[catalog.Event]) error {
			letters.Add(int64(len(r.DeadLetters)))
			return nil
		}
		start(t, c, l.ConsumeEvents)
		c.wait(t, "the signed events", func() bool { return len(c.items[1]) == 2 && letters.Load() == 2 })
	})
	t.Run("a short secret is an error of Open", func(t *testing.T) {
		cfg := testConfig(t, fakeBroker(t))
		cfg.HMACSecret = "short"
		if _, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err == nil {
			t.Error("Open = nil; want an error")
		}
	})
}
