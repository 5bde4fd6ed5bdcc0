package versioned

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// The commit graph of 2015, in its words: a query that is launched and resolved
// while something else is heard, one that times out, and an expiry that is
// merged. Programs find the trailers that they know.
func TestWordingOf2015(t *testing.T) {
	var s *vcs.Store
	synctest.Test(t, func(t *testing.T) {
		var tab *Table
		tab, s = openStore(t, mem.New(), Config{Node: "node", Wording: Wording2015})
		step := func() {
			settle(t, tab)
			time.Sleep(time.Second)
		}
		heard := learned(key("192.168.3.1"), aMAC, ethernet.Addr{}, time.Now())
		heard.Evidence.Solicited = false
		q := arp.Work{ID: 1, Kind: arp.WorkQuery, Key: key("192.168.3.10"), Time: time.Now()}
		tab.Begin(q)
		step()
		tab.Put(heard)
		step()
		c := learned(q.Key, bMAC, ethernet.Addr{}, time.Now())
		c.Work = q.ID
		tab.Put(c)
		tab.End(q, arp.OutcomeAnswered)
		step()
		x := arp.Work{ID: 2, Kind: arp.WorkExpiry, Key: key("192.168.3.1"), MAC: aMAC, Time: time.Now()}
		tab.Begin(x)
		step()
		tab.Put(learned(q.Key, aMAC, bMAC, time.Now()))
		step()
		tab.Expire(arp.Change{Op: arp.OpExpired, Key: x.Key, Old: aMAC, Time: time.Now(), Work: x.ID})
		tab.End(x, arp.OutcomeFailed)
		step()
		q = arp.Work{ID: 3, Kind: arp.WorkQuery, Key: key("192.168.3.77"), Time: time.Now()}
		tab.Begin(q)
		tab.Record(arp.Change{Op: arp.OpQueryFailed, Key: q.Key, Time: time.Now(), Work: q.ID})
		tab.End(q, arp.OutcomeFailed)
		step()
		checkHistory(t, tab)
		closeBoth(t, tab, s)
	})
	dir := export(t, "node", s)
	got := strings.Join(lines(t, dir, "log", "--all", "--graph", "--format=%s"), "\n")
	want := strings.TrimPrefix(`
* Arp.query: query timed out for ip 192.168.3.77
* Arp.query: query thread launched for ip 192.168.3.77
*   Arp.tick: merge expiry branch
|\  
| * Arp.tick: updating to age out old entries
* | entry updated: 192.168.3.10 -> 02:50:00:00:00:0a
|/  
*   Arp.notify: merge notify branch
|\  
| * entry resolved: 192.168.3.10 -> 02:50:00:00:00:0b
| * Arp.query: query thread launched for ip 192.168.3.10
* | entry added: 192.168.3.1 -> 02:50:00:00:00:0a
|/  
* Arp.create: Initial empty cache`, "\n")
	if strip(got) != strip(want) {
		t.Errorf("git log --all --graph shows\n%s\nwant\n%s", got, want)
	}
	if n := len(lines(t, dir, "log", "--all", "--format=%H", "--grep=Arp-Cause: expired")); n != 1 {
		t.Errorf("%d commits have the trailer of an expiry", n)
	}
}

// strip takes the space from the ends of lines.
func strip(s string) string {
	var out []string
	for l := range strings.Lines(s) {
		out = append(out, strings.TrimRight(l, " \n"))
	}
	return strings.Join(out, "\n")
}

// checkHistory checks what must hold of each commit of a history: an expiry, and
// the merge of an expiry's branch, bring no address that was not there; and a
// merge loses nothing of what its two writers wrote.
func checkHistory(t *testing.T, tab *Table) (merges int) {
	t.Helper()
	at := func(id vcs.ID) map[arp.Key]Entry {
		snap, err := tab.Repo().AtCommit(id)
		if err != nil {
			t.Fatal(err)
		}
		return mapOf(t, snap)
	}
	for c, err := range tab.Commits() {
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Parents) == 0 {
			continue
		}
		now, before := at(c.ID), at(c.Parents[0])
		if c.Trailer(TrailerCause) == "expired" || len(c.Parents) > 1 && strings.HasPrefix(c.Trailer(TrailerBranch), kindExpire) {
			for k, e := range now {
				if old, ok := before[k]; e.State != Expired && (!ok || old.State == Expired) && len(c.Parents) == 1 {
					t.Errorf("%s %q brought %v", c.ID.Short(), c.Subject(), k)
				} else if !ok && e.State != Expired {
					t.Errorf("%s %q added %v", c.ID.Short(), c.Subject(), k)
				}
			}
		}
		if len(c.Parents) < 2 {
			continue
		}
		merges++
		for _, p := range c.Parents {
			for k, e := range at(p) {
				if got, ok := now[k]; !ok || Join(got, e) != got {
					t.Errorf("%s %q lost what %s wrote about %v:\n had %+v\n has %+v", c.ID.Short(), c.Subject(), p.Short(), k, e, got)
				}
			}
		}
	}
	return merges
}
