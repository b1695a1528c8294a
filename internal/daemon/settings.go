package daemon

import (
	"flag"
	"log/slog"
	"regexp"
	"strings"
)

// Settings returns the flags of fs whose value differs from the default, for the log, and
// always those in always, such as the addresses. Secrets are masked, see [Mask].
func Settings(fs *flag.FlagSet, always ...string) []slog.Attr {
	shown := map[string]bool{}
	for _, name := range always {
		shown[name] = true
	}
	var settings []slog.Attr
	fs.VisitAll(func(f *flag.Flag) {
		if value := f.Value.String(); !isAction(f.Name) && (shown[f.Name] || value != f.DefValue) {
			settings = append(settings, slog.String(f.Name, Mask(f.Name, value)))
		}
	})
	return settings
}

const masked = "xxxxx" // as net/url's Redacted writes it

var (
	// secretName matches the last part of the name of a flag or parameter whose whole
	// value is secret. A name ending in -file is the path of a secret, not the secret.
	secretName = `(?i:password|passwd|passphrase|pass|pwd|secret|token|credentials?|(?:api|access|private|secret|ssl)?[-_.]?key)`

	secretFlag = regexp.MustCompile(`(?:^|[-_.])` + secretName + `$`)
	// userinfo matches from the scheme of a URL to its last @. It spans the hosts of a
	// list, so that no @ or / in a password can end it too early.
	userinfo = regexp.MustCompile(`(://[^:/@\s]*):\S*@`)
	// parameterName matches the name of a secret in a query or in a list of key=value. In
	// a URL of MongoDB, a property of the authentication is such a secret, too.
	parameterName = `(?:^|[?&;,=\s])[\w.-]*?(?:` + secretName + `\s*=|(?i:session_token:))\s*`
	// parameter matches such a secret with its name.
	parameter = regexp.MustCompile(`(` + parameterName + `)('[^']*'|[^&;,\s]+)`)
)

// Mask returns the value of a flag with its secrets replaced: the whole value if the name
// of the flag says that it is a secret, and otherwise the passwords in URLs, in their
// parameters and in lists of key=value.
func Mask(name, value string) string {
	if value == "" {
		return ""
	}
	if secretFlag.MatchString(name) {
		return masked
	}
	value = userinfo.ReplaceAllString(value, "${1}:"+masked+"@")
	return parameter.ReplaceAllString(value, "${1}"+masked)
}

// isAction reports whether the flag makes the program do something else than run. Such a flag is
// not a setting: it has no environment variable.
func isAction(name string) bool { return name == "healthcheck" || name == "version" }

// group returns the part of a flag's name before the first dot, or "" if it has none.
func group(name string) string {
	before, _, found := strings.Cut(name, ".")
	if !found {
		return ""
	}
	return before
}
