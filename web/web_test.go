package web_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"catalog/web"
)

func pages(t *testing.T) map[string]*httptest.ResponseRecorder {
	t.Helper()
	all := map[string]*httptest.ResponseRecorder{}
	for path, h := range web.Pages() {
		all[path] = httptest.NewRecorder()
		h.ServeHTTP(all[path], httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if all[path].Code != http.StatusOK {
			t.Errorf("%s: %d", path, all[path].Code)
		}
	}
	return all
}

func TestPages_policy(t *testing.T) {
	for path, page := range pages(t) {
		policy := page.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'self';") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", path, policy)
		}
		body := strings.ReplaceAll(page.Body.String(), "http://www.w3.org/2000/svg", "")
		for _, bad := range []string{`<script>`, `<style`, ` style=`, ` on\w+=`, `javascript:`, `https?://`, `innerHTML`, `insertAdjacentHTML`, `\.style\b`, `eval\(`, `data:,`} {
			if found := regexp.MustCompile(bad).FindString(body); found != "" {
				t.Errorf("%s contains %q", path, found)
			}
		}
	}
}

// TestPages_references checks that every id that a script or attribute uses is on
// the page exactly once, and that every file that a page loads exists.
func TestPages_references(t *testing.T) {
	all := pages(t)
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(all["/"].Body.String(), -1) {
		ids[m[1]]++
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		body := all[path].Body.String()
		for _, m := range regexp.MustCompile(`\$\("([^"]+)"\)`).FindAllStringSubmatch(body, -1) {
			if ids[m[1]] != 1 {
				t.Errorf("%s uses the id %s, which is on the page %d times", path, m[1], ids[m[1]])
			}
		}
		for _, m := range regexp.MustCompile(`(?:from "\.|src="|rel="\w+" href=")/?([^"]+)"`).FindAllStringSubmatch(body, -1) {
			if all["/"+strings.TrimPrefix(m[1], "/")] == nil {
				t.Errorf("%s loads %s, which does not exist", path, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`(?:aria-labelledby|aria-controls|for)="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			if ids[m[1]] != 1 {
				t.Errorf("%s refers to the id %s, which is on the page %d times", path, m[1], ids[m[1]])
			}
		}
	}
}
