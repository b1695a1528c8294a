// Package web is the start page: static files that are part of the program, so
// that it works without a network.
package web

import (
	"embed"
	"net/http"
)

//go:embed index.html app.js style.css
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
	return map[string]http.Handler{"/": page, "/app.js": page, "/style.css": page}
}
