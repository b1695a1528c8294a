// Package buildinfo reports the version and the commit from which a program was built. It uses only
// the standard library.
package buildinfo

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// The linker sets these two in a release, whose source is not in a Git repository:
//
//	go build -ldflags "-X catalog/internal/buildinfo.version=v1.2.3 -X catalog/internal/buildinfo.commit=ef5b03f"
var version, commit string

// Info describes the source and the compiler of a program.
type Info struct {
	// Version is the tag of the source, such as v1.2.3. Between two tags it is a
	// pseudo-version of Go, and "dev" when the source is unknown.
	Version string
	// Commit is the Git commit, with "-dirty" when files were changed; "unknown" when
	// the source is unknown.
	Commit string
	// Time is the time of the commit in RFC 3339 form, or "".
	Time string
	// Go is the version of the compiler, such as go1.26.8.
	Go string
}

// Read returns the values set by the linker, and where the linker set none, those that
// the go command records when it builds in a Git repository.
func Read() Info {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		b = &debug.BuildInfo{}
	}
	return from(version, commit, b)
}

func from(version, commit string, b *debug.BuildInfo) Info {
	i := Info{Version: version, Commit: commit, Go: cmp.Or(b.GoVersion, runtime.Version())}
	if i.Version == "" && b.Main.Version != "(devel)" {
		i.Version = b.Main.Version
	}
	var revision, dirty string
	for _, s := range b.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		case s.Key == "vcs.time":
			i.Time = s.Value
		}
	}
	if i.Commit == "" && revision != "" {
		i.Commit = revision + dirty
	}
	i.Version, i.Commit = cmp.Or(i.Version, "dev"), cmp.Or(i.Commit, "unknown")
	return i
}

// String returns one line, such as "v1.2.3 (commit ef5b03f, 2026-11-27T15:11:34Z, go1.26.8)".
func (i Info) String() string {
	parts := []string{"commit " + i.Commit}
	if i.Time != "" {
		parts = append(parts, i.Time)
	}
	return fmt.Sprintf("%s (%s)", i.Version, strings.Join(append(parts, i.Go), ", "))
}
