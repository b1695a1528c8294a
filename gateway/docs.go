package gateway

import (
	_ "embed"
	"net/http"

	"github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"
)

//go:embed docs.html
var docsPage []byte

// docs returns the interactive documentation of the API, below /docs. It loads nothing
// from other hosts.
//
// The page is a file, not a template: with text/template in a program, the linker keeps
// all exported methods of all types, which made the gateway 33.6 MB large instead of 25.6.
func docs() http.Handler {
	files := http.StripPrefix("/docs/", statigz.FileServer(static.FS))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/docs" || r.URL.Path == "/docs/" {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(docsPage)
			return
		}
		files.ServeHTTP(w, r)
	})
}
