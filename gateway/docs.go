package gateway

import (
	_ "embed"
	"net/http"

	"github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"
)

//go:embed docs.html
var docsPage []byte

//go:embed docs.js
var docsScript []byte

// docsPolicy lets the page load its own files only, apart from the styles and pictures
// that Swagger UI has in its code, and forbids to frame it.
const docsPolicy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// docs returns the interactive documentation of the API, below /docs. It loads nothing
// from other hosts.
//
// The page is a file, not a template: with text/template in a program, the linker keeps
// all exported methods of all types, which made the gateway 33.6 MB large instead of 25.6.
func docs() http.Handler {
	files := http.StripPrefix("/docs/", statigz.FileServer(static.FS, func(s *statigz.Server) {
		// Embedded files can be read, so the only error is that of a client that leaves. The
		// default would begin a second response, which Echo logs as an error.
		s.OnError = func(http.ResponseWriter, *http.Request, error) {}
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", docsPolicy)
		switch r.URL.Path {
		case "/docs", "/docs/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(docsPage)
		case "/docs/docs.js":
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			_, _ = w.Write(docsScript)
		default:
			files.ServeHTTP(w, r)
		}
	})
}
