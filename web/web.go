// Package web has the console: static files that are embedded in the program, so
// that the console works without a network.
package web

import (
	"embed"
	"net/http"
)

//go:embed *.html *.js *.css *.svg
var files embed.FS

// Pages returns a handler for each file, by path. A content security policy keeps
// the pages from loading anything from other hosts.
func Pages() map[string]http.Handler {
	server := http.FileServerFS(files)
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		server.ServeHTTP(w, r)
	})
	pages := map[string]http.Handler{"/": page}
	entries, _ := files.ReadDir(".") // reading embedded files cannot fail
	for _, f := range entries {
		if f.Name() != "index.html" { // served at /
			pages["/"+f.Name()] = page
		}
	}
	return pages
}
