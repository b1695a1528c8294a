package logging

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestText(t *testing.T) {
	write := func(colour bool, log func(*slog.Logger)) string {
		var out bytes.Buffer
		log(slog.New(newTextHandler(&out, slog.LevelInfo, colour)))
		_, line, _ := strings.Cut(out.String(), " ") // the time differs
		return line
	}
	for _, test := range []struct {
		name, want string
		log        func(*slog.Logger)
	}{
		{
			"a line has level, message and attributes", "WARN  fetch failed  service=writer topic=commands err=\"connection refused\"\n",
			func(l *slog.Logger) {
				l.With("service", "writer").Warn("fetch failed", "topic", "commands", "err", errors.New("connection refused"))
			},
		},
		{
			"durations have three digits and a unit", "INFO  settled  took=12.3ms\n",
			func(l *slog.Logger) { l.Info("settled", "took", 12_345_678*time.Nanosecond) },
		},
		{
			"groups are prefixes", "INFO  started  settings.http=:8080 settings.log.level=WARN\n",
			func(l *slog.Logger) {
				l.Info("started", slog.Group("settings", "http", ":8080", slog.Group("log", "level", slog.LevelWarn)))
			},
		},
		{
			"a value stays on its line and in its quotes", "INFO  m  v=\"a\\nb=\\\"c\\\"\" empty=\"\"\n",
			func(l *slog.Logger) { l.Info("m", "v", "a\nb=\"c\"", "empty", "") },
		},
		{"lower levels are left out", "", func(l *slog.Logger) { l.Debug("m") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := write(false, test.log); got != test.want {
				t.Errorf("line = %q; want %q", got, test.want)
			}
		})
	}
	t.Run("only a terminal gets colours", func(t *testing.T) {
		warn := func(l *slog.Logger) { l.Warn("m") }
		if got := write(true, warn); !strings.Contains(got, yellow+"WARN ") {
			t.Errorf("line on a terminal = %q; want a yellow WARN", got)
		}
		var out bytes.Buffer
		slog.New(NewHandler(&out, "writer", Config{Format: Text})).Warn("m")
		if strings.Contains(out.String(), "\x1b") {
			t.Errorf("line in a file = %q; want no colours", out.String())
		}
	})
}

func TestJSON(t *testing.T) {
	t.Run("an output that is not a terminal gets JSON, and durations have a unit", func(t *testing.T) {
		var out bytes.Buffer
		slog.New(NewHandler(&out, "writer", Config{Format: Auto})).Info("settled", "took", 1_234_567_890*time.Nanosecond)
		if !strings.Contains(out.String(), `"msg":"settled","service":"writer","took":"1.23s"`) {
			t.Errorf("line = %s; want JSON with took 1.23s", out.String())
		}
	})
}

func TestDurationText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 12_345: "12.3µs", 1_234_567: "1.23ms", 999_999_999: "1s",
		64*time.Second + 567*time.Millisecond: "1m4.6s", -1_234_567: "-1.23ms", 26 * time.Hour: "26h0m0s",
	} {
		if got := durationText(d); got != want {
			t.Errorf("durationText(%d ns) = %s; want %s", d, got, want)
		}
	}
}

// lockedBuffer is a buffer to which the sampler writes from a timer.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedBuffer) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

func TestSampler(t *testing.T) {
	count := func(out *lockedBuffer, message string) int { return strings.Count(out.String(), `"msg":"`+message+`"`) }
	t.Run("the rest of a burst becomes one line with its count", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var out lockedBuffer
			log := slog.New(NewHandler(&out, "writer", Config{}))
			for range sampleBurst + 300 {
				log.With("shard", 3).Warn("fetch failed")
			}
			log.Info("fetch failed") // another level
			if got, want := count(&out, "fetch failed"), sampleBurst+1; got != want {
				t.Errorf("%d lines in the window; want %d", got, want)
			}
			time.Sleep(sampleWindow)
			synctest.Wait()
			if !strings.Contains(out.String(), `"msg":"fetch failed","service":"writer","suppressed":300,"within":"10s"}`) {
				t.Errorf("the last lines are %q; want suppressed 300", out.String())
			}
			out.Reset()
			log.Warn("fetch failed")
			if count(&out, "fetch failed") != 1 {
				t.Error("the first message after the window was suppressed")
			}
		})
	})
	t.Run("messages that come slowly are all logged", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var out lockedBuffer
			log := slog.New(NewHandler(&out, "writer", Config{}))
			for range 3 * sampleBurst {
				log.Warn("fetch failed")
				time.Sleep(sampleWindow / sampleBurst)
			}
			synctest.Wait()
			if got := count(&out, "fetch failed"); got != 3*sampleBurst {
				t.Errorf("%d lines; want %d", got, 3*sampleBurst)
			}
		})
	})
	t.Run("the access log is complete", func(t *testing.T) {
		var out lockedBuffer
		log := slog.New(NewHandler(&out, "writer", Config{}))
		for range 10 * sampleBurst {
			log.Info(AccessMessage)
		}
		if got := count(&out, AccessMessage); got != 10*sampleBurst {
			t.Errorf("%d lines; want %d", got, 10*sampleBurst)
		}
	})
}

func TestShards(t *testing.T) {
	t.Run("shards within a moment share a line", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			s := NewShards(slog.New(NewHandler(&out, "writer", Config{Format: Text})), "shards taken over")
			since := time.Now()
			for _, shard := range []int32{7, 2, 1, 0, 9, 10} {
				time.Sleep(100 * time.Millisecond)
				s.Add(shard, since)
			}
			time.Sleep(shardsQuiet)
			synctest.Wait()
			s.Flush() // nothing is left
			if got, want := out.String()[len("15:04:05.000 "):], "INFO  shards taken over  service=writer count=6 shards=0-2,7,9-10 took=600ms\n"; got != want {
				t.Errorf("log = %q; want %q", got, want)
			}
		})
	})
}
