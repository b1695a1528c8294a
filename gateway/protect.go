package gateway

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"catalog"
)

// protect is a middleware against other sites in the browser of a user. It refuses
// requests that name another host, as a page does whose DNS name was bound to the
// address of this gateway, and writes that come from another site. Responses are never
// interpreted as another type, framed, or allowed to load anything.
func (g *Gateway) protect(next echo.HandlerFunc) echo.HandlerFunc {
	var crossOrigin http.CrossOriginProtection
	return func(c *echo.Context) error {
		header := c.Response().Header()
		header["X-Content-Type-Options"] = noSniff
		header["Content-Security-Policy"] = noContent // pages replace it
		header["X-Frame-Options"] = noFrames
		r := c.Request()
		if !g.allowHost(r.Host) {
			return problem(catalog.CodeForbidden, "the gateway does not serve this host; add it to -http.hosts", catalog.FieldError{Field: "Host", Reason: "is not a name of this gateway"})
		}
		if err := crossOrigin.Check(r); err != nil {
			return problem(catalog.CodeForbidden, "a page of another site sent this request; nothing has changed")
		}
		return next(c)
	}
}

// Header values in the form of http.Header, so that a request does not allocate them.
var (
	noSniff   = []string{"nosniff"}
	noContent = []string{"default-src 'none'; frame-ancestors 'none'"}
	noFrames  = []string{"DENY"}
)
