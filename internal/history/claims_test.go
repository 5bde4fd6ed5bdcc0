package history

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
)

// TestClaims: Claims finds what reading every commit finds, wherever a merge has
// brought it from, over epochs, too.
func TestClaims(t *testing.T) {
	total := 0
	for seed := range uint64(4) {
		retention := vcs.Retention{}
		if seed%2 == 1 {
			retention = vcs.Retention{MaxCommits: 1200, Epochs: 6} // none leaves
		}
		r := newRecorder(t, seed, retention)
		for range 600 {
			r.step()
		}
		r.must(r.repo.Sync(t.Context()))
		_, err := r.s.Collect(t.Context())
		r.must(err)
		r.settle()
		head := r.head().ID
		for range 30 {
			since := time.Unix(start+r.rng.Int64N(r.now.Unix()-start), 0)
			until := since.Add(time.Duration(r.rng.IntN(100)) * time.Second)
			var got, want []string
			for c, err := range r.s.Log(head) {
				r.must(err)
				if !c.Time().Before(since) && !c.Time().After(until) {
					for _, cl := range versioned.ClaimsOf(c) {
						want = append(want, fmt.Sprint(cl))
					}
				}
			}
			for cl, err := range versioned.Claims(t.Context(), r.repo, since, until, head) {
				r.must(err)
				got = append(got, fmt.Sprint(cl))
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, %v to %v: %d claims, want %d", seed, since, until, len(got), len(want))
			}
			total += len(got)
		}
	}
	if total == 0 {
		t.Error("no claim was found")
	}
}

// A site's observer was cut off from the others at noon and merged in the
// afternoon: a question about noon hears of the claims that it refused, in a store,
// in a Git directory, and by the index.
func TestClaimsOfALateMerge(t *testing.T) {
	r := newRecorder(t, 1, vcs.Retention{})
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	k := arp.Key{Domain: "lan", Addr: netip.MustParseAddr("10.9.0.7")}
	owner, thief := ethernet.Addr{2, 0, 0, 0, 0, 1}, ethernet.Addr{2, 0, 0, 0, 0, 0x66}
	write := func(j *versioned.Journal, op arp.ChangeOp, mac ethernet.Addr, at time.Time) {
		t.Helper()
		o := versioned.Observation{Op: op, Key: k, MAC: mac, Time: at, Learned: "request", Interface: "eth0"}
		if op == arp.OpRefused {
			o.Old, o.Rule = owner, "first"
		}
		if _, err := j.Write(t.Context(), &o); err != nil {
			t.Fatal(err)
		}
	}
	write(r.j, arp.OpLearned, owner, noon)
	if err := r.repo.CreateBranch(t.Context(), "site", r.j.Head()); err != nil {
		t.Fatal(err)
	}
	site, err := versioned.OpenJournal(t.Context(), r.s, versioned.JournalConfig{Branch: "site", Node: "site"})
	r.must(err)
	write(site, arp.OpRefused, thief, noon.Add(3*time.Minute))
	for i := range 30 { // the others go on
		k.Addr = netip.AddrFrom4([4]byte{10, 9, 1, byte(i)})
		write(r.j, arp.OpLearned, ethernet.Addr{2, 0, 0, 0, 1, byte(i)}, noon.Add(time.Duration(i)*time.Minute))
	}
	k.Addr = netip.MustParseAddr("10.9.0.7")
	r.now = noon.Add(2 * time.Hour)
	_, err = r.repo.Merge(t.Context(), "primary", site.Head(), vcs.MergeOptions{CommitInfo: r.info("arp: merge site\n\nArp-Cause: merge\nArp-Branch: site\n")})
	r.must(err)
	r.must(r.repo.Sync(t.Context()))

	dir := filepath.Join(t.TempDir(), "bare.git")
	if _, err := gitremote.WriteSnapshot(dir, r.s); err != nil {
		t.Fatal(err)
	}
	d, err := gitremote.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := vcs.OpenStore(t.Context(), d, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	index := versioned.OpenRecordIndex("")
	r.must(index.Update(t.Context(), r.s, r.head().ID))
	for name, c := range map[string]struct {
		s     *vcs.Store
		index *versioned.RecordIndex
	}{"store": {s: r.s}, "indexed": {r.s, index}, "Git directory": {s: bare}} {
		a, err := NewAsker(c.s, r.head(), time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		a.Index = c.index
		for at, want := range map[time.Duration]int{time.Minute: 0, 3 * time.Minute: 1, 3*time.Minute + 30*time.Second: 1, 10 * time.Minute: 0} {
			ans, err := a.At(t.Context(), k, noon.Add(at))
			if err != nil {
				t.Fatal(err)
			}
			if len(ans.Claims) != want || want > 0 && (ans.Claims[0].MAC != thief || !ans.Disputed()) || ans.Holder == nil || ans.Holder.MAC != owner {
				t.Errorf("%s, %v after noon: %+v, want %d claims", name, at, ans, want)
			}
		}
		a.Close()
	}
}
