package vcs_test

import (
	"fmt"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// What falls out of the store leaves one commit a period on each chain, with the
// tree that the branch had at the period's end.
func TestChains(t *testing.T) {
	for name, backend := range backends() {
		t.Run(name, func(t *testing.T) {
			b := backend()
			cfg := vcs.Config[string, string]{}
			cfg.Retention = vcs.Retention{MaxCommits: 80, Epochs: 4, Chains: []vcs.Chain{
				{Branch: "history/minute", Period: time.Minute, Limit: 24},
				{Branch: "history/hour", Period: time.Hour, Limit: 1000},
			}}
			r := openOn(t, b, cfg)
			start := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
			want := map[int64]vcs.ID{} // the last commit of each minute
			for i := range 600 {
				at := start.Add(time.Duration(i) * 17 * time.Second)
				id, err := r.Set(t.Context(), "primary", fmt.Sprint("k", i%9), fmt.Sprint("v", i), vcs.CommitInfo{Message: "m", Time: at})
				if err != nil {
					t.Fatal(err)
				}
				want[at.Unix()/60] = id
				if i%10 == 9 {
					if _, err := r.Store().Collect(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if i == 300 {
					if err := r.Close(); err != nil {
						t.Fatal(err)
					}
					r = openOn(t, b, cfg)
				}
			}
			minutes := 0
			var seen []int64
			for _, branch := range []string{"history/minute", "history/minute-before"} {
				head, err := r.Head(branch)
				if err != nil {
					t.Fatal(err)
				}
				for c, err := range r.Log(head) {
					if err != nil {
						t.Fatal(err)
					}
					if c.Trailer(vcs.TrailerEpoch) != "" {
						continue
					}
					minute := c.Time().Unix() / 60
					if got := c.Trailer(vcs.TrailerCommit); got != want[minute].String() {
						t.Errorf("minute %d stands for %s, not for %v", minute, got, want[minute])
					}
					seen = append(seen, minute)
					minutes++
				}
			}
			if minutes < 12 || minutes > 12+24+80 {
				t.Errorf("%d minutes are kept", minutes)
			}
			head, err := r.Head("history/hour")
			if err != nil {
				t.Fatal(err)
			}
			hours := 0
			for _, err := range r.Log(head) {
				if err != nil {
					t.Fatal(err)
				}
				hours++
			}
			if hours < 1 || hours > 3 {
				t.Errorf("%d hours", hours)
			}
			vcstest.Export(t, r.Store())
			t.Logf("%d minutes, %d hours, %+v", len(seen), hours, r.Store().Stats())
		})
	}
}
