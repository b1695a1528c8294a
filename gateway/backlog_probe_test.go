package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
)

// TestBacklog_probes simulates ten gateways whose clients send ten commands a second to one
// shard each, while no writer runs.
func TestBacklog_probes(t *testing.T) {
	const gateways, period = 10, 5 * time.Minute
	for _, atOnce := range []bool{false, true} {
		var (
			began    = time.Unix(1_000_000_000, 0)
			now      = began
			end      int64 // end of the shard's commands in the log
			sent     int64 // commands that are admitted; with atOnce, other gateways see them after the round
			late     int   // commands that are admitted after the limit was passed
			backlogs [gateways]*backlog
			ends     = func(context.Context) ([]int64, error) { return []int64{end}, nil }
		)
		for i := range backlogs {
			backlogs[i] = newBacklog(10*time.Second, func() time.Time { return now }, ends, prometheus.NewRegistry())
			backlogs[i].Begin(0, 1)
		}
		for ; now.Sub(began) < period; now = now.Add(100 * time.Millisecond) {
			for i, b := range backlogs {
				c := catalog.Command{ID: catalog.DerivedID(now.String(), string(rune('a'+i))), AcceptedAt: now}
				if b.admit(t.Context(), []catalog.Command{c}) != nil {
					continue
				}
				sent++
				if now.Sub(began) > 10*time.Second {
					late++
				}
				if !atOnce {
					end = sent
				}
			}
			end = sent
		}
		// Gateways that look at the same moment do not see one another's probe.
		most := int(period/probeRepeat) + 1
		if atOnce {
			most *= gateways
		}
		if late == 0 || late > most {
			t.Errorf("at once: %v: %d commands are added to the backlog in %v; want at least 1 and at most %d", atOnce, late, period, most)
		}
		c := catalog.Event{Command: catalog.DerivedID("later"), AcceptedAt: now}
		for i, b := range backlogs {
			b.Publish(0, []catalog.Event{c})
			if err := b.admit(t.Context(), []catalog.Command{{ID: catalog.DerivedID("next"), AcceptedAt: now}}); err != nil {
				t.Errorf("gateway %d after a later command was settled: %v; want nil", i, err)
			}
		}
	}
}
