package gateway

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"iter"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/internal/memory"
	"catalog/internal/wire"
)

// readProductData reads and parses a body of product data.
func (g *Gateway) readProductData(c *echo.Context) (catalog.ProductData, error) {
	body, err := g.readBody(c, "application/json")
	if err != nil {
		return catalog.ProductData{}, err
	}
	return wire.ParseProductData(body)
}

// readBody reads the body, which must have one of the content types. A body above
// smallBody takes its bytes from the bodies share once its first part has arrived. They
// are released when the command is sent, or with the request.
func (g *Gateway) readBody(c *echo.Context, types ...string) ([]byte, error) {
	if err := checkContentType(c, types...); err != nil {
		return nil, err
	}
	gzipped, err := checkContentEncoding(c)
	if err != nil {
		return nil, err
	}
	r := c.Request()
	if r.ContentLength > maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	from, size := http.MaxBytesReader(c.Response(), r.Body, maxBody), r.ContentLength
	if gzipped {
		if from, err = unpack(from, maxBody); err != nil {
			return nil, bodyError(err)
		}
	}
	if gzipped || size < 0 {
		size = maxBody
	}
	var body bytes.Buffer
	_, err = io.CopyN(&body, from, smallBody)
	if err == nil { // the body may have more bytes
		if err := bodyOf(c).hold(r.Context(), g.bodies, size); err != nil {
			g.metrics.shedMemory.Inc()
			return nil, problem(catalog.CodeBusy, "not accepted: too many large requests are in progress; retry after 1 s")
		}
		_, err = body.ReadFrom(from)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, bodyError(err)
	}
	return body.Bytes(), nil
}

// requestBody is the body of a request. It must arrive within bodyTimeout, whether a
// handler reads it or not; a bulk import sets deadlines of its own.
type requestBody struct {
	io.ReadCloser
	control *http.ResponseController
	read    bool        // a part of the body was read
	ended   bool        // the body was read to its end, or is broken
	whole   atomic.Bool // the body was read to its end; an import begins its response while it reads

	share *memory.Share // the share that held bytes are taken from; nil for none
	held  int64
}

// watchBody sets the deadline of the body of the request, if it has one. The response
// may begin before the body has arrived: net/http would otherwise wait for the rest of
// a body before it sends a refusal.
func watchBody(c *echo.Context) *requestBody {
	r := c.Request()
	if r.ContentLength == 0 {
		return nil
	}
	b := &requestBody{ReadCloser: r.Body, control: http.NewResponseController(c.Response())}
	_ = b.control.EnableFullDuplex() // test recorders have neither this nor deadlines
	b.setDeadline(time.Now().Add(bodyTimeout))
	r.Body = b
	if w, err := echo.UnwrapResponse(c.Response()); err == nil {
		w.Before(func() {
			if !b.whole.Load() { // what is left of the body must not be read as the next request
				w.Header().Set("Connection", "close")
			}
		})
	}
	return b
}

// bodyOf returns the body that watchBody has made, or nil for a request without one.
func bodyOf(c *echo.Context) *requestBody {
	b, _ := c.Request().Body.(*requestBody)
	return b
}

// hold takes bytes of the share for the body, for which it waits a moment.
func (b *requestBody) hold(ctx context.Context, share *memory.Share, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, bytesTimeout)
	defer cancel()
	if err := share.Acquire(ctx, size); err != nil {
		return err
	}
	b.share, b.held = share, size
	return nil
}

// release gives the bytes of the body back.
func (b *requestBody) release() {
	if b != nil && b.held > 0 {
		b.share.Release(b.held)
		b.held = 0
	}
}

// setDeadline sets the time until which reads of the body may wait; zero means forever. A
// body that was read to its end gets none: net/http would cancel its request, which may wait
// for its commands.
func (b *requestBody) setDeadline(deadline time.Time) {
	if b != nil && !b.whole.Load() {
		_ = b.control.SetReadDeadline(deadline)
	}
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.read = true
	n, err := b.ReadCloser.Read(p)
	if err != nil && !b.ended {
		b.ended = true
		if errors.Is(err, io.EOF) {
			b.setDeadline(time.Time{})
			b.whole.Store(true)
		}
	}
	return n, err
}

// drain sends the response and then reads the rest of the body, within limits. Many
// clients read no response before they have sent everything: if the connection were
// closed on them, they would report a broken connection instead of the refusal.
func (b *requestBody) drain(expect string) {
	if b == nil || b.ended || !b.read && expect != "" { // a client that waits for 100 Continue gets the refusal instead
		return
	}
	_ = b.control.Flush()
	b.setDeadline(time.Now().Add(bodyTimeout))
	_, _ = io.CopyN(io.Discard, b, maxDrain)
}

// bodyError returns the client's view of an error of reading the body.
func bodyError(err error) error {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return err
	}
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) {
		return catalog.Invalid("body", "is not compressed with gzip, as Content-Encoding says")
	}
	return catalog.Invalid("body", "did not arrive completely, or not in time")
}

func checkContentType(c *echo.Context, types ...string) error {
	given := c.Request().Header.Get("Content-Type")
	t, params, err := mime.ParseMediaType(given)
	charset := strings.ToLower(params["charset"])
	if err != nil || !slices.Contains(types, t) || charset != "" && charset != "utf-8" && charset != "utf8" {
		return mediaType(c, t, "send Content-Type: "+types[0]+", in UTF-8", types)
	}
	return nil
}

// mediaType refuses a content type: the body must have one of types.
func mediaType(c *echo.Context, given, detail string, types []string) error {
	c.Response().Header().Set("Accept", strings.Join(types, ", "))
	switch given {
	case "application/x-www-form-urlencoded":
		detail += "; curl sends forms unless -H names another type"
	case "multipart/form-data":
		detail += "; send the body itself, not a form (curl --data-binary @FILE)"
	}
	return problem(catalog.CodeMediaType, detail,
		catalog.FieldError{Field: "Content-Type", Reason: "must be " + strings.Join(types, " or ")})
}

// checkContentEncoding reports whether the body of the request is compressed with gzip. The
// header is a list (RFC 9110, section 8.4), and identity in it means nothing.
func checkContentEncoding(c *echo.Context) (gzipped bool, err error) {
	for e := range tagsOf(strings.ToLower(strings.Join(c.Request().Header.Values("Content-Encoding"), ","))) {
		switch {
		case e == "identity":
		case (e == "gzip" || e == "x-gzip") && !gzipped:
			gzipped = true
		default:
			c.Response().Header().Set("Accept-Encoding", "gzip")
			return false, problem(catalog.CodeMediaType, "send Content-Encoding: gzip, or none",
				catalog.FieldError{Field: "Content-Encoding", Reason: "must be gzip, once"})
		}
	}
	return gzipped, nil
}

// unpack returns a reader of a body that is compressed with gzip, up to limit bytes of what
// is in it.
func unpack(from io.Reader, limit int64) (io.ReadCloser, error) {
	packed := bufio.NewReaderSize(from, smallBody)
	if mark, err := packed.Peek(2); string(mark) != "\x1F\x8B" { // a short body would look as if it were cut off
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, gzip.ErrHeader
	}
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	return http.MaxBytesReader(nil, unpacked, limit), nil
}

// parsePrefer returns how long to wait for a command, at most maxWait: the time of wait or,
// without one, 0 for respond-async. It ignores preferences that it does not know, or whose
// value it cannot read, and all but the first of a name, as RFC 7240 requires.
func parsePrefer(prefer string) time.Duration {
	async, wait := false, time.Duration(-1)
	for p := range strings.SplitSeq(prefer, ",") {
		p, _, _ = strings.Cut(p, ";") // parameters of the preference
		name, value, _ := strings.Cut(p, "=")
		switch name = strings.TrimSpace(name); {
		case strings.EqualFold(name, "respond-async"):
			async = true
		case strings.EqualFold(name, "wait") && wait < 0:
			if n, err := strconv.ParseUint(strings.Trim(value, " \t\""), 10, 31); err == nil {
				wait = min(time.Duration(n)*time.Second, maxWait)
			}
		}
	}
	switch {
	case wait >= 0:
		return wait
	case async:
		return 0
	}
	return defaultWait
}

// parseIfMatch returns the condition of a write. A tag that names no version holds for no
// product.
func parseIfMatch(value string) (catalog.Condition, error) {
	switch value = strings.Trim(value, " \t,"); value {
	case "":
		return catalog.Condition{}, nil
	case "*":
		return catalog.Condition{Exists: true}, nil
	}
	var versions []int64
	for tag := range tagsOf(value) {
		if v, ok := parseETag(tag); ok {
			versions = append(versions, v)
		}
	}
	switch {
	case len(versions) == 0:
		return catalog.Condition{}, problem(catalog.CodeVersion, `If-Match names no version; a version is the ETag of a response, such as "7"`)
	case len(versions) > 1+catalog.MaxOrVersions:
		return catalog.Condition{}, catalog.Invalid("If-Match", patternHelp["If-Match"])
	}
	return catalog.Condition{Version: versions[0], OrVersions: versions[1:]}, nil
}

// tagsOf yields the tags of a list that are not empty.
func tagsOf(list string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for tag := range strings.SplitSeq(list, ",") {
			if tag = strings.TrimSpace(tag); tag != "" && !yield(tag) {
				return
			}
		}
	}
}

// matchesETag reports whether one of the comma-separated tags is of the version or *.
func matchesETag(tags string, version int64) bool {
	for tag := range tagsOf(tags) {
		if v, ok := parseETag(tag); tag == "*" || ok && v == version {
			return true
		}
	}
	return false
}

// parseETag returns the version that an ETag names. A version is exact, so it does not
// matter that a proxy which compressed the response has made its ETag weak, or has added
// the encoding to it, as in "7-gzip".
func parseETag(tag string) (version int64, ok bool) {
	tag = strings.TrimPrefix(tag, "W/")
	if len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"' || tag[1] == '0' || tag[1] == '+' {
		return 0, false
	}
	v, err := strconv.ParseInt(encodingOfTag.ReplaceAllString(tag[1:len(tag)-1], ""), 10, 64)
	return v, err == nil && v > 0
}

// encodingOfTag is what proxies add to the ETag of a response that they compress.
var encodingOfTag = regexp.MustCompile(`(--?|;)(gzip|br|zstd|deflate)$`)

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }
