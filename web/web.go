// Package web is the start page: static files that are part of the program, so
// that it works without a network.
package web

import (
	"embed"
	"net/http"
)

//go:embed *.html *.js *.css *.svg
var files embed.FS

// Pages are the files by their paths. They may load from here only.
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
	entries, _ := files.ReadDir(".") // what is embedded can be read
	for _, f := range entries {
		if f.Name() != "index.html" { // which is at /
			pages["/"+f.Name()] = page
		}
	}
	return pages
}
