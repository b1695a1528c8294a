package buildinfo

import (
	"runtime/debug"
	"testing"
)

func TestInfo(t *testing.T) {
	git := &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Version: "v0.0.0-20261127151134-ef5b03f00000+dirty"},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "ef5b03f"}, {Key: "vcs.time", Value: "2026-11-27T15:11:34Z"}, {Key: "vcs.modified", Value: "true"},
		},
	}
	for _, test := range []struct {
		name, version, commit string
		build                 *debug.BuildInfo
		want                  string
	}{
		{"the linker's values come first", "v1.2.3", "0123456", git, "v1.2.3 (commit 0123456, 2026-11-27T15:11:34Z, go1.26.8)"},
		{"a build in a Git repository has its commit", "", "", git, "v0.0.0-20261127151134-ef5b03f00000+dirty (commit ef5b03f-dirty, 2026-11-27T15:11:34Z, go1.26.8)"},
		{
			"a build outside of one is of an unknown commit", "", "",
			&debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"}}, "dev (commit unknown, go1.26.8)",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := from(test.version, test.commit, test.build).String(); got != test.want {
				t.Errorf("Info = %q; want %q", got, test.want)
			}
		})
	}
}
