package daemon

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Secrets hides the secrets of a command line and its environment in texts that leave the process:
// errors, log lines and pages of the admin port. The errors of the engines contain no secrets;
// Secrets hides those in the errors of their client libraries. A nil Secrets hides nothing.
type Secrets struct{ replacer *strings.Replacer }

var (
	// urlPassword and parameterValue capture a secret that Mask replaces.
	urlPassword    = regexp.MustCompile(`^(?:[\w+.-]+://)?[^:/@\s]*:(\S*)@`)
	parameterValue = regexp.MustCompile(parameterName + `('[^']*'|[^&;,\s]+)`)
)

// minBareSecret is the length of the shortest secret that is hidden wherever it appears. A shorter
// one can be a word of the log, such as the name of an engine, so it is hidden only where it looks
// like a password: between ":" and "@", or after "=".
const minBareSecret = 12

// FindSecrets finds the secrets in the arguments of a program, and in the variables
// of environ that hold its flags.
func FindSecrets(args, environ []string) *Secrets {
	var found []string
	add := func(name, value string) { found = append(found, secretsIn(name, value)...) }
	for i, arg := range args {
		name, value, assigned := strings.Cut(arg, "=")
		flagName := strings.TrimLeft(name, "-")
		switch isFlag := flagName != name; {
		case isFlag && assigned:
			add(flagName, value)
		case isFlag && i+1 < len(args):
			add(flagName, args[i+1])
		default:
			add("", arg)
		}
	}
	for _, variable := range environ {
		if name, value, ok := strings.Cut(variable, "="); ok && strings.HasPrefix(name, EnvName("")) {
			add(strings.ToLower(name), value)
		}
	}
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) }) // a secret may contain another one
	var pairs []string
	for _, s := range found {
		pairs = append(pairs, ":"+s+"@", ":"+masked+"@", "="+s, "="+masked)
		if len(s) >= minBareSecret {
			pairs = append(pairs, s, masked)
		}
	}
	return &Secrets{strings.NewReplacer(pairs...)}
}

// secretsIn returns the secrets in the value of a flag, also in the forms in which a
// parser of URLs or a log of JSON writes them.
func secretsIn(name, value string) (secrets []string) {
	if secretFlag.MatchString(name) {
		secrets = append(secrets, value)
	}
	for part := range strings.SplitSeq(value, ",") { // a list of URLs
		if m := urlPassword.FindStringSubmatch(strings.TrimSpace(part)); m != nil {
			secrets = append(secrets, m[1])
		}
	}
	if m := urlPassword.FindStringSubmatch(value); m != nil { // a password with a comma
		secrets = append(secrets, m[1])
	}
	for _, m := range parameterValue.FindAllStringSubmatch(value, -1) {
		secrets = append(secrets, strings.Trim(m[1], "'"))
	}
	for _, s := range secrets {
		if u, err := url.PathUnescape(s); err == nil {
			secrets = append(secrets, u, url.QueryEscape(u), url.PathEscape(u))
		}
	}
	for _, s := range secrets {
		secrets = append(secrets, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s))
	}
	slices.Sort(secrets)
	return slices.DeleteFunc(slices.Compact(secrets), func(s string) bool { return s == "" })
}

// Hide returns text with the secrets replaced.
func (s *Secrets) Hide(text string) string {
	if s == nil {
		return text
	}
	return s.replacer.Replace(text)
}

// Writer returns a writer that hides the secrets in each of its writes, such as the
// lines of a log.
func (s *Secrets) Writer(w io.Writer) io.Writer {
	if s == nil {
		return w
	}
	return secretsWriter{s, w}
}

type secretsWriter struct {
	secrets *Secrets
	to      io.Writer
}

// Write implements io.Writer.
func (w secretsWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, w.secrets.Hide(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// cmdline serves the command line of the process like the handler of package pprof,
// with secrets masked.
func cmdline(args []string) http.HandlerFunc {
	secrets, shown := FindSecrets(args[1:], nil), make([]string, len(args))
	for i, arg := range args {
		name, value, assigned := strings.Cut(arg, "=")
		switch flagName := strings.TrimLeft(name, "-"); {
		case flagName != name && assigned:
			shown[i] = name + "=" + Mask(flagName, value)
		case i > 0 && strings.HasPrefix(args[i-1], "-") && !strings.Contains(args[i-1], "="):
			shown[i] = Mask(strings.TrimLeft(args[i-1], "-"), arg)
		default:
			shown[i] = Mask("", arg)
		}
		shown[i] = secrets.Hide(shown[i])
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, strings.Join(shown, "\x00"))
	}
}
