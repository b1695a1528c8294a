package kafka

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// signatureHeader is the name of the header with the HMAC-SHA256 of a record.
	signatureHeader = "hmac-sha256"

	// minSecret is the shortest secret, in bytes, that is accepted: half of the hash.
	minSecret = 16
)

// signer signs and verifies the records of the commands and the events topic. A signer
// without keys does neither.
type signer struct {
	keys     [][]byte
	unsigned bool // accepts records without a signature
}

// newSigner returns the signer of a list of secrets, separated by commas. The first one
// signs, and all verify. An empty last one accepts records without a signature.
func newSigner(secrets string) (signer, error) {
	var s signer
	if secrets == "" {
		return s, nil
	}
	list := strings.Split(secrets, ",")
	if n := len(list) - 1; list[n] == "" {
		list, s.unsigned = list[:n], true
	}
	for i, secret := range list {
		if len(secret) < minSecret {
			return s, fmt.Errorf("-kafka.hmac-secret: secret %d has fewer than %d characters", i+1, minSecret)
		}
		s.keys = append(s.keys, []byte(secret))
	}
	return s, nil
}

// mac returns the HMAC of what identifies a record: topic, partition, key and value. It
// leaves out the offset, so a copy of a record is valid: records may repeat.
func mac(key []byte, r *kgo.Record) []byte {
	h := hmac.New(sha256.New, key)
	var n [8]byte
	for _, part := range [][]byte{[]byte(r.Topic), binary.BigEndian.AppendUint32(nil, uint32(r.Partition)), r.Key, r.Value} {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	return h.Sum(nil)
}

// sign adds the signature to r.
func (s signer) sign(r *kgo.Record) *kgo.Record {
	if len(s.keys) > 0 {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: signatureHeader, Value: mac(s.keys[0], r)})
	}
	return r
}

// verify returns an error unless r has a valid signature.
func (s signer) verify(r *kgo.Record) error {
	if len(s.keys) == 0 {
		return nil
	}
	for _, h := range r.Headers {
		if h.Key != signatureHeader {
			continue
		}
		for _, key := range s.keys {
			if hmac.Equal(h.Value, mac(key, r)) {
				return nil
			}
		}
		return errors.New("the signature is wrong: the record is forged, or signed with a key that is not in -kafka.hmac-secret")
	}
	if s.unsigned {
		return nil
	}
	return errors.New("the record has no signature: another program has written it, or one without -kafka.hmac-secret")
}
