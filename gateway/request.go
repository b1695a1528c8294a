package gateway

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/internal/wire"
)

// readProductData reads and parses a body of product data.
func readProductData(c *echo.Context) (catalog.ProductData, error) {
	body, err := readBody(c, "application/json")
	if err != nil {
		return catalog.ProductData{}, err
	}
	return wire.ParseProductData(body)
}

// readBody reads the body, which must have one of the content types.
func readBody(c *echo.Context, types ...string) ([]byte, error) {
	if err := checkContentType(c, types...); err != nil {
		return nil, err
	}
	setReadDeadline(c, bodyTimeout)
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxBody))
	if err != nil {
		return nil, bodyError(err)
	}
	setReadDeadline(c, 0)
	return body, nil
}

// setReadDeadline limits the time to read the request body; 0 means no limit. A
// slow client holds no slot, since bodies are read before a slot is acquired.
func setReadDeadline(c *echo.Context, timeout time.Duration) {
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	_ = http.NewResponseController(c.Response()).SetReadDeadline(deadline) // test recorders have no deadlines
}

// bodyError returns the client's view of an error of reading the body.
func bodyError(err error) error {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return err
	}
	return catalog.Invalid("body", "did not arrive completely, or not in time")
}

func checkContentType(c *echo.Context, types ...string) error {
	given := c.Request().Header.Get("Content-Type")
	t, params, err := mime.ParseMediaType(given)
	if err != nil || !slices.Contains(types, t) || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return problem(catalog.CodeMediaType, "send Content-Type: "+types[0]+", in UTF-8",
			catalog.FieldError{Field: "Content-Type", Reason: "must be " + strings.Join(types, " or ")})
	}
	return nil
}

// parsePrefer returns how long to wait for a command (RFC 7240). It ignores
// unknown preferences, as the RFC requires.
func parsePrefer(prefer string) (time.Duration, error) {
	wait := defaultWait
	for p := range strings.FieldsFuncSeq(prefer, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		switch name, value, _ := strings.Cut(p, "="); {
		case strings.EqualFold(name, "respond-async"):
			return 0, nil
		case strings.EqualFold(name, "wait"):
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n > int(maxWait/time.Second) {
				return 0, catalog.Invalid("Prefer", "must have a whole number of seconds from 0 to 30 in wait=N")
			}
			wait = time.Duration(n) * time.Second
		}
	}
	return wait, nil
}

// parseIfMatch returns the condition of a write.
func parseIfMatch(value string) (catalog.Condition, error) {
	switch value = strings.TrimSpace(value); value {
	case "":
		return catalog.Condition{}, nil
	case "*":
		return catalog.Condition{Exists: true}, nil
	}
	if v, ok := parseETag(value); ok {
		return catalog.Condition{Version: v}, nil
	}
	return catalog.Condition{}, catalog.Invalid("If-Match", `must be one version in quotes, such as "7", as in the ETag of a response, or *`)
}

// matchesETag reports whether one of the comma-separated tags is tag or *.
func matchesETag(tags, tag string) bool {
	for t := range strings.SplitSeq(tags, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}

func parseETag(tag string) (version int64, ok bool) {
	if len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return 0, false
	}
	v, err := strconv.ParseInt(tag[1:len(tag)-1], 10, 64)
	return v, err == nil && v > 0
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }
