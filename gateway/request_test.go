package gateway_test

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// drip sends a request whose body never arrives, and returns the connection.
func drip(t *testing.T, url, request string, headers ...string) *bufio.Reader {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	// generous: the test fails when nothing comes, and not when the machine is busy
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: 1000\r\n\r\n{", request, strings.Join(append(headers, ""), "\r\n")); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(c)
}

func TestBody_neverArrives(t *testing.T) {
	url := serve(t, &system{})
	id := "/api/v1/products/0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"
	tests := []struct {
		request string
		headers []string
		status  int
	}{
		{"POST /nowhere", nil, 404},
		{"POST /api/v1/products", []string{"Content-Type: text/plain"}, 415},
		{"PUT /api/v1/products/x", []string{"Content-Type: application/json"}, 400},
		{"DELETE " + id, nil, 404},
		{"GET " + id, nil, 404},
		{"GET /docs/", nil, 200},
		{"PROPFIND /api/v1/products", nil, 405},
		{"POST /api/v1/imports", []string{"Content-Type: text/plain"}, 415},
		{"POST /api/v1/products", []string{"Content-Type: application/json"}, 400}, // the handler reads the body
	}
	var responses []*bufio.Reader // of all requests, which wait for their bodies at the same time
	for _, test := range tests {
		responses = append(responses, drip(t, url, test.request, test.headers...))
	}
	for i, test := range tests {
		t.Run(fmt.Sprintf("%s is answered with %d, and its connection is closed", test.request, test.status), func(t *testing.T) {
			from := responses[i]
			r, err := http.ReadResponse(from, nil)
			if err != nil {
				t.Fatalf("no response while the body is missing: %v", err)
			}
			defer r.Body.Close()
			if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != test.status {
				t.Errorf("status %d, %v; want %d", r.StatusCode, err, test.status)
			}
			if _, err := from.ReadByte(); err != io.EOF {
				t.Errorf("the connection ended with %v; want that it is closed when the body is late", err)
			}
		})
	}
}

func TestBody_tooLarge(t *testing.T) {
	url := serve(t, &system{})
	for _, size := range []int{1<<20 + 1, 2 << 20, 6 << 20, 50 << 20} {
		for name, request := range map[string]string{
			"of a known size": fmt.Sprintf("Content-Length: %d\r\n\r\n", size),
			"in chunks":       fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size),
		} {
			t.Run(fmt.Sprintf("a client that sends %d bytes %s before it reads gets 413", size, name), func(t *testing.T) {
				c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				end := "\r\n0\r\n\r\n"
				if name == "of a known size" {
					end = ""
				}
				fmt.Fprintf(c, "POST /api/v1/products HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s", request)
				if _, err := io.Copy(c, io.MultiReader(io.LimitReader(zeros{}, int64(size)), strings.NewReader(end))); err != nil {
					t.Fatalf("the body was not taken: %v", err)
				}
				r, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatalf("no response: %v", err)
				}
				defer r.Body.Close()
				if body, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(body), `"too_large"`) {
					t.Errorf("status %d %s, %v; want 413", r.StatusCode, body, err)
				}
			})
		}
	}
}

// TestBody_encoded sends a body of a write and of an import with each form of the header:
// both accept the same.
func TestBody_encoded(t *testing.T) {
	for _, tt := range []struct {
		encoding, body string
		status         int
	}{
		{"", lamp, 201},
		{"identity", lamp, 201},
		{"gzip", packedText(t, lamp), 201},
		{"X-Gzip", packedText(t, lamp), 201},
		{"gzip, identity", packedText(t, lamp), 201},
		{" identity ,identity", lamp, 201},
		{"gzip", lamp, 400},
		{"gzip", "", 400},
		{"gzip", packedText(t, lamp)[:40], 400},
		{"gzip", packedText(t, strings.Repeat(" ", 2<<20)+lamp), 413},
		{"gzip, gzip", lamp, 415},
		{"br", lamp, 415},
		{"deflate, gzip", lamp, 415},
	} {
		t.Run(fmt.Sprintf("%q with %d bytes is %d", tt.encoding, len(tt.body), tt.status), func(t *testing.T) {
			url := serve(t, &system{})
			if w, body := call(t, "POST", url+"/api/v1/products", tt.body, "Content-Encoding", tt.encoding); w.StatusCode != tt.status {
				t.Errorf("a write has the response %d %s; want %d", w.StatusCode, body, tt.status)
			}
			status := map[int]int{201: 200, 413: 200}[tt.status] // a row that is too long is refused alone
			w, body := call(t, "POST", url+"/api/v1/imports", tt.body, "Content-Encoding", tt.encoding, "Content-Type", "application/json")
			if w.StatusCode != cmp.Or(status, tt.status) {
				t.Errorf("an import has the response %d %s; want %d", w.StatusCode, body, cmp.Or(status, tt.status))
			}
		})
	}
}

func TestCondition_empty(t *testing.T) {
	url := serve(t, &system{})
	path := url + "/api/v1/products/0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"
	call(t, "PUT", path, lamp)
	for method, body := range map[string]string{"PUT": lamp, "PATCH": `{"name":"x"}`, "DELETE": ""} {
		for _, header := range []string{"If-Match", "If-None-Match"} {
			if method != "PUT" && header == "If-None-Match" {
				continue
			}
			t.Run(method+" with an empty "+header+" is refused, not done without a condition", func(t *testing.T) {
				if w, body := call(t, method, path, body, header, ""); w.StatusCode != http.StatusBadRequest || !strings.Contains(body, header) {
					t.Errorf("response %d %s; want 400 that names %s", w.StatusCode, body, header)
				}
			})
		}
	}
}

// TestHeaders sends headers in the forms that clients and proxies give them.
func TestHeaders(t *testing.T) {
	url := serve(t, &system{})
	path := url + "/api/v1/products/0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"
	call(t, "PUT", path, lamp)
	const same = `{"name":"Lamp"}`
	for _, tt := range []struct {
		method, body string
		headers      []string
		status       int
		want         string // text in the body or in a header
	}{
		{"GET", "", []string{"If-None-Match", `W/"1"`}, 304, ""},
		{"GET", "", []string{"If-None-Match", `"9" , "1"`}, 304, ""},
		{"GET", "", []string{"If-None-Match", `"9"`, "If-None-Match", `"1"`}, 304, ""},
		{"GET", "", []string{"If-None-Match", "*"}, 304, ""},
		{"GET", "", []string{"If-None-Match", `"1-gzip"`}, 304, ""},
		{"GET", "", []string{"If-None-Match", `W/"1;gzip"`}, 304, ""},
		{"GET", "", []string{"If-None-Match", `"1--br"`}, 304, ""},
		{"GET", "", []string{"If-None-Match", `"11", "1-x", "01", "", 1`}, 200, `"name":"Lamp"`},
		{"GET", "", []string{"Catalog-Position", "0.1", "Catalog-Position", "0.1 , 0.1"}, 200, ""},
		{"GET", "", []string{"Range", "bytes=0-5"}, 200, `"name":"Lamp"`},
		{"PATCH", same, []string{"If-Match", `"1-gzip"`}, 200, ""},
		{"PATCH", same, []string{"If-Match", `, "7" ,, W/"1"`}, 200, ""},
		{"PATCH", same, []string{"If-Match", `"7"`, "If-Match", `"1"`}, 200, ""},
		{"PATCH", same, []string{"If-Match", `"abc","1"`}, 200, ""},
		{"PATCH", same, []string{"If-Match", `"abc"`}, 412, "version_mismatch"},
		{"PATCH", same, []string{"If-Match", `""`}, 412, "names no version"},
		{"PATCH", same, []string{"If-Match", `"99999999999999999999"`}, 412, "names no version"},
		{"PATCH", same, []string{"If-Match", "1"}, 400, "If-Match"},
		{"PATCH", same, []string{"If-Match", `*, "1"`}, 400, "If-Match"},
		{"PATCH", same, []string{"If-None-Match", "*"}, 400, "If-None-Match"},
		{"DELETE", "", []string{"If-None-Match", `"1"`}, 400, "If-None-Match"},
		{"PATCH", same, []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, 400, "must not be repeated"},
		{"PATCH", same, []string{"Idempotency-Key", ""}, 400, "must not be empty"},
		{"PATCH", same, []string{"Prefer", "respond-async; x=1"}, 202, ""},
		{"PATCH", same, []string{"Prefer", "return=minimal", "Prefer", "Wait=0"}, 202, ""},
		{"PATCH", same, []string{"Prefer", `foo, wait = "30", wait=0`}, 200, ""},
		{"PATCH", same, []string{"Prefer", "respond-async, wait=30"}, 200, ""},
		{"PATCH", same, []string{"X-HTTP-Method-Override", "DELETE"}, 200, `"name":"Lamp"`},
		{"PATCH", same, []string{"Content-Type", "application/json;charset=UTF8"}, 200, ""},
		{"PATCH", same, []string{"Content-Type", "application/json; charset=latin1"}, 415, "Accept: application/merge-patch+json, application/json"},
		{"PATCH", same, []string{"Content-Encoding", "Identity"}, 200, ""},
		{"PATCH", same, []string{"Content-Encoding", "br"}, 415, "Accept-Encoding: gzip"},
	} {
		t.Run(fmt.Sprint(tt.method, tt.headers), func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), tt.method, path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			if tt.headers[0] == "Content-Type" {
				r.Header.Del("Content-Type")
			}
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Add(tt.headers[i], tt.headers[i+1])
			}
			w, body := roundTrip(t, r)
			all := body + "Accept: " + w.Header.Get("Accept") + "\nAccept-Encoding: " + w.Header.Get("Accept-Encoding")
			if w.StatusCode != tt.status || !strings.Contains(all, tt.want) {
				t.Errorf("response %d %s; want %d with %q", w.StatusCode, all, tt.status, tt.want)
			}
		})
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
