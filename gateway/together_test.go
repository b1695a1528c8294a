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

// Many products are read at once, some of which take long. Each reader gets
// what he asked for, and waits for no other.
func TestWhoReadsTogetherGetsHisOwnAndWaitsForNobody(t *testing.T) {
	const products = 40
	s := &system{slow: map[catalog.ID]*slow{}}
	url := serveAs(t, s, gateway.Config{}) // nothing is answered from near
	paths := make([]string, products)
	for i := range paths {
		w, _ := call(t, "POST", url+"/api/v1/products", fmt.Sprintf(`{"name":"Lamp %d","price":{"amount":"20","currency":"EUR"}}`, i))
		paths[i] = w.Header.Get("Location")
	}
	slowly := func(path string) *slow {
		p := &slow{asked: make(chan struct{}), answer: make(chan struct{})}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.slow[catalog.ID(uuid.MustParse(path[strings.LastIndex(path, "/")+1:]))] = p
		return p
	}
	read := func(i int) {
		if r, body := call(t, "GET", url+paths[i], ""); r.StatusCode != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"Lamp %d"`, i)) {
			t.Errorf("product %d is answered %d %s", i, r.StatusCode, body)
		}
	}

	// All calls that may be under way at once are for products that take long.
	var late []*slow
	var waiting sync.WaitGroup
	for i := range 3 {
		late = append(late, slowly(paths[i]))
		waiting.Go(func() { read(i) })
		<-late[i].asked
	}
	// Somebody does not wait for such a product.
	left := slowly(paths[3])
	ctx, leave := context.WithCancel(t.Context())
	waiting.Go(func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+paths[3], nil)
		if err != nil {
			t.Error(err)
			return
		}
		if a, err := http.DefaultClient.Do(r); err == nil {
			_ = a.Body.Close()
			t.Error("who has left is answered", a.Status)
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
				t.Errorf("a product that there is not is answered %d %s", r.StatusCode, body)
			}
		})
		others.Wait()
		s.mu.Lock()
		several := s.several
		s.mu.Unlock()
		if several > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("void: nothing is asked for together")
		}
	}
	for _, p := range append(late, left) {
		close(p.answer)
	}
	waiting.Wait()
}
