package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/metrics/metricstest"
	"catalog/internal/wire"
)

// largeProduct returns a product of about 780 kB.
func largeProduct(n int) catalog.Product {
	p := catalog.Product{ID: catalog.DerivedID(fmt.Sprint(n)), Version: 1, ProductData: catalog.ProductData{
		Name: "Large", Price: catalog.Money{Currency: "EUR"}, Attributes: map[string]string{},
	}}
	for i := range catalog.MaxAttributes {
		p.Attributes[fmt.Sprintf("a%d", i)] = strings.Repeat("\U0001d11e", catalog.MaxAttributeValue)
	}
	return p
}

func TestRespond_notTaken(t *testing.T) {
	s := &system{page: &catalogv1.SearchProductsResponse{Total: 5}}
	for i := range 5 {
		s.page.Items = append(s.page.Items, wire.ProductToProto(largeProduct(i)))
	}
	url := serve(t, s)
	t.Run("a client that does not read its response is cut off, and others are served meanwhile", func(t *testing.T) {
		var silent []net.Conn
		for range 5 {
			c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(c, "GET /api/v1/products HTTP/1.1\r\nHost: localhost\r\n\r\n")
			silent = append(silent, c)
		}
		if w, body := call(t, "GET", url+"/api/v1/suggest?q=a", ""); w.StatusCode != http.StatusOK {
			t.Errorf("a small response meanwhile: %d %s; want 200", w.StatusCode, body)
		}
		// Reading begins only after the gateway has given up; otherwise the client would receive
		// the whole response.
		eventually(t, "every list has ended", func() bool {
			return metricstest.Value(t, s.metrics, "http_server_request_duration_seconds", "http_route", "/api/v1/products") == 5
		})
		if !s.gateway.ResponsesFree() {
			t.Error("a response that its client did not take is still held")
		}
		var readers sync.WaitGroup
		for _, c := range silent {
			// The kernel delivers its buffered data slowly, through a small window.
			if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			readers.Go(func() {
				r, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					return // cut off before the header was sent
				}
				defer r.Body.Close()
				if n, err := io.Copy(io.Discard, r.Body); r.StatusCode == http.StatusOK && err == nil {
					t.Errorf("the client got all %d bytes; want that the connection was closed", n)
				}
			})
		}
		readers.Wait()
	})
}

func TestWrite_noRoom(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	s.gateway.FillResponses()
	w, body := call(t, "POST", url+"/api/v1/products", lamp)
	if w.StatusCode != http.StatusCreated {
		t.Errorf("a small product: %d %s; want 201", w.StatusCode, body)
	}
	large := string(wire.EncodeProductData(largeProduct(1).ProductData))
	w, body = call(t, "POST", url+"/api/v1/products", large)
	if w.StatusCode != http.StatusAccepted || !strings.Contains(body, `"applied"`) || len(body) > 1000 || w.Header.Get("Location") == "" || w.Header.Get("Catalog-Position") == "" {
		t.Errorf("a large product while there is no room for responses: %d %.300s; want 202 with an applied receipt", w.StatusCode, body)
	}
}
