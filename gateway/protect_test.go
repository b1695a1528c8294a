package gateway_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// send writes a raw request to the server at the URL and returns the response.
func send(t *testing.T, url, request string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%.40s…: %v; want a response", request, err)
	}
	t.Cleanup(func() { r.Body.Close() })
	return r
}

func TestProtect(t *testing.T) {
	url := serve(t, &system{})
	t.Run("a request that names another host is refused, as after DNS rebinding", func(t *testing.T) {
		for _, path := range []string{"/api/v1/products", "/openapi.json", "/docs/", "/nowhere"} {
			r := send(t, url, "GET "+path+" HTTP/1.1\r\nHost: evil.example\r\n\r\n")
			if r.StatusCode != http.StatusForbidden {
				t.Errorf("GET %s = %d; want 403", path, r.StatusCode)
			}
		}
	})
	t.Run("writes of a page of another site are refused", func(t *testing.T) {
		for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				path := "/api/v1/products/0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"
				if method == "POST" {
					path = "/api/v1/products"
				}
				if w, body := call(t, method, url+path, lamp, headers...); w.StatusCode != http.StatusForbidden || !strings.Contains(body, `"forbidden"`) {
					t.Errorf("%s with %v = %d %s; want 403 forbidden", method, headers, w.StatusCode, body)
				}
			}
		}
	})
	t.Run("writes of the console and of programs pass", func(t *testing.T) {
		data := lamps()
		for _, headers := range [][]string{{"Sec-Fetch-Site", "same-origin"}, {"Origin", url}, nil} {
			if w, body := call(t, "POST", url+"/api/v1/products", data(), headers...); w.StatusCode != http.StatusCreated {
				t.Errorf("POST with %v = %d %s; want 201", headers, w.StatusCode, body)
			}
		}
	})
	t.Run("no response is framed, interpreted as another type, or loads from elsewhere", func(t *testing.T) {
		for _, path := range []string{"/api/v1/products", "/api/v1/products/x", "/openapi.json", "/docs/", "/docs/swagger-ui-bundle.js", "/nowhere"} {
			w, _ := call(t, "GET", url+path, "")
			policy := w.Header.Get("Content-Security-Policy")
			if w.Header.Get("X-Content-Type-Options") != "nosniff" || w.Header.Get("X-Frame-Options") != "DENY" ||
				!strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src") || strings.Contains(policy, "script-src") {
				t.Errorf("GET %s has the headers %v; want nosniff, and a policy without frames and other scripts", path, w.Header)
			}
		}
		if _, page := call(t, "GET", url+"/docs/", ""); strings.Contains(page, "<script>") {
			t.Error("the documentation has a script in its page, which its policy forbids")
		}
	})
}

func TestMethods(t *testing.T) {
	url := serve(t, &system{})
	_, created := call(t, "POST", url+"/api/v1/products", lamp)
	id := created[strings.Index(created, `"id":"`)+6:][:36]
	t.Run("HEAD has the headers of GET and no body", func(t *testing.T) {
		for _, path := range []string{"/api/v1/products/" + id, "/api/v1/products", "/api/v1/suggest?q=l", "/api/v1/products/" + id + "/history", "/api/v1/changes", "/openapi.json", "/docs/"} {
			w, body := call(t, "HEAD", url+path, "")
			if w.StatusCode != http.StatusOK || body != "" || w.Header.Get("Content-Type") == "" {
				t.Errorf("HEAD %s = %d %q %v; want 200 and no body", path, w.StatusCode, body, w.Header)
			}
		}
		if w, _ := call(t, "HEAD", url+"/api/v1/products/x", ""); w.StatusCode != http.StatusBadRequest {
			t.Errorf("HEAD with a bad id = %d; want 400", w.StatusCode)
		}
		if w, _ := call(t, "HEAD", url+"/api/v1/products?nonsense=1", ""); w.StatusCode != http.StatusBadRequest {
			t.Errorf("HEAD with an unknown parameter = %d; want 400", w.StatusCode)
		}
	})
	t.Run("OPTIONS names the methods", func(t *testing.T) {
		w, _ := call(t, "OPTIONS", url+"/api/v1/products", "")
		allow := w.Header.Get("Allow")
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
			if w.StatusCode != http.StatusNoContent || !strings.Contains(allow, method) {
				t.Errorf("OPTIONS = %d, Allow %q; want 204 with %s", w.StatusCode, allow, method)
			}
		}
	})
}

func TestQuery_strict(t *testing.T) {
	url := serve(t, &system{})
	for _, query := range []string{"q=%zz", "%zz=1", "q=a;b", "q=a&limit=%", "q=a%0", "=%f"} {
		r := send(t, url, fmt.Sprintf("GET /api/v1/products?%s HTTP/1.1\r\nHost: localhost\r\n\r\n", query))
		if r.StatusCode != http.StatusBadRequest {
			t.Errorf("?%s = %d; want 400, not a search without it", query, r.StatusCode)
		}
	}
	t.Run("a list of thousands of unknown parameters is refused in a few kilobytes", func(t *testing.T) {
		var many []string
		for i := range 3000 {
			many = append(many, fmt.Sprintf("p%d=1", i))
		}
		w, body := call(t, "GET", url+"/api/v1/products?"+strings.Join(many, "&"), "")
		if w.StatusCode != http.StatusBadRequest || len(body) > 20_000 || !strings.Contains(body, "and 2980 more") {
			t.Errorf("response %d with %d bytes; want 400, at most 20,000 bytes, and the number of the others", w.StatusCode, len(body))
		}
	})
	t.Run("a position of a shard that the catalogue does not have is refused", func(t *testing.T) {
		for _, path := range []string{"/api/v1/products", "/api/v1/suggest?q=x", "/api/v1/products/0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"} {
			if w, body := call(t, "GET", url+path, "", "Catalog-Position", "63.1"); w.StatusCode != http.StatusBadRequest || !strings.Contains(body, "Catalog-Position") {
				t.Errorf("GET %s = %d %s; want 400", path, w.StatusCode, body)
			}
			if w, body := call(t, "GET", url+path, "", "Catalog-Position", "0.1,63.1"); w.StatusCode != http.StatusBadRequest {
				t.Errorf("GET %s with two positions = %d %s; want 400", path, w.StatusCode, body)
			}
		}
	})
}
