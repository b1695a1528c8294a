package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"catalog"
	"catalog/gateway"
)

// TestReadBatcher reads many products at once, some of them slowly. Each read
// returns its own product and waits for no other.
func TestReadBatcher(t *testing.T) {
	const products = 40
	s := &system{slow: map[catalog.ID]*slow{}}
	url := serveConfig(t, s, gateway.Config{}) // no near cache
	paths := make([]string, products)
	for i := range paths {
		w, _ := call(t, "POST", url+"/api/v1/products", fmt.Sprintf(`{"name":"Lamp %d","price":{"amount":"20","currency":"EUR"}}`, i))
		paths[i] = w.Header.Get("Location")
	}
	makeSlow := func(path string) *slow {
		p := &slow{asked: make(chan struct{}), release: make(chan struct{})}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.slow[catalog.ID(uuid.MustParse(path[strings.LastIndex(path, "/")+1:]))] = p
		return p
	}
	read := func(i int) {
		if r, body := call(t, "GET", url+paths[i], ""); r.StatusCode != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"Lamp %d"`, i)) {
			t.Errorf("product %d: response %d %s", i, r.StatusCode, body)
		}
	}

	// Slow products occupy all call slots.
	var held []*slow
	var waiting sync.WaitGroup
	for i := range 3 {
		held = append(held, makeSlow(paths[i]))
		waiting.Go(func() { read(i) })
		<-held[i].asked
	}
	// A client disconnects before its slow product is read.
	left := makeSlow(paths[3])
	ctx, leave := context.WithCancel(t.Context())
	waiting.Go(func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+paths[3], nil)
		if err != nil {
			t.Error(err)
			return
		}
		if a, err := http.DefaultClient.Do(r); err == nil {
			_ = a.Body.Close()
			t.Error("the canceled read returned", a.Status)
		}
	})
	<-left.asked
	leave()

	for end := time.Now().Add(20 * time.Second); ; {
		var others sync.WaitGroup
		for i := 4; i < products; i++ {
			others.Go(func() { read(i) })
		}
		others.Go(func() {
			if r, body := call(t, "GET", url+"/api/v1/products/"+uuid.NewString(), ""); r.StatusCode != http.StatusNotFound {
				t.Errorf("a product that does not exist: response %d %s", r.StatusCode, body)
			}
		})
		others.Wait()
		s.mu.Lock()
		batches := s.batches
		s.mu.Unlock()
		if batches > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("void: no reads shared a call")
		}
	}
	for _, p := range append(held, left) {
		close(p.release)
	}
	waiting.Wait()
}
