package history

import (
	"fmt"
	"math/rand/v2"
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
	"arpeggio/vcs/mem"
)

// randomTable writes a history of a table with VLANs that come late, branches
// and merges.
func randomTable(t *testing.T, seed uint64, n int) *vcs.Store {
	t.Helper()
	s, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	repo, err := versioned.NewRepo(s)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	branches := []string{"primary", "side"}
	for i := range n {
		info := vcs.CommitInfo{Message: fmt.Sprint("arp: ", i), Time: time.Unix(start+60*int64(i), 0), AllowEmpty: true}
		branch := branches[rng.IntN(2)]
		head, err := repo.Head(branch)
		if err != nil && branch == "side" {
			continue // no branch yet
		}
		if rng.IntN(8) == 0 && branch == "primary" && i > 0 {
			from, err := repo.Head("side")
			if err != nil {
				if err := repo.CreateBranch(t.Context(), "side", head); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if _, err := repo.Merge(t.Context(), "primary", from, vcs.MergeOptions{CommitInfo: info}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		k := arp.Key{Domain: "lan", Addr: netip.AddrFrom4([4]byte{10, 0, byte(rng.IntN(3)), byte(rng.IntN(8))})}
		if i > n/2 && rng.IntN(3) == 0 {
			k.VLAN = ethernet.VLAN{Inner: uint16(5 + rng.IntN(2))}
		}
		e := versioned.Entry{State: versioned.Dynamic, MAC: ethernet.Addr{2, 0, 0, 0, 0, byte(i)}, Learned: "x", Interface: "eth0",
			Node: "n", FirstSeen: start, Clock: int64(1000 + i)}
		if _, err := repo.Commit(t.Context(), branch, head, []vcs.Change[arp.Key, versioned.Entry]{{Key: k, Value: vcs.Some(e)}}, info); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// shown are the commits of a log.
func shown(t *testing.T, s *vcs.Store, opt LogOptions, without bool) (out []string) {
	t.Helper()
	w := walker{s: s, commits: s.Joined(), opt: opt}
	if !without {
		if w.index = newIndex(s, opt.Specs); w.index == nil {
			t.Fatal("the store has no index")
		}
	}
	for st, err := range w.walk() {
		if err != nil {
			t.Fatal(err)
		}
		if st.show {
			out = append(out, st.c.ID.Short()+" "+st.c.Subject())
		}
	}
	return out
}

// TestIndex: what a store knows beforehand changes nothing but the time that a
// log takes.
func TestIndex(t *testing.T) {
	s := randomTable(t, 5, 300)
	dir := filepath.Join(t.TempDir(), "table.git")
	if _, err := gitremote.WriteSnapshot(dir, s); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "", "commit-graph", "write", "--reachable", "--changed-paths")
	d := open(t, dir).Store
	head, _ := s.Ref("refs/heads/primary")
	side, _ := s.Ref("refs/heads/side")
	var specs []Spec
	for _, text := range []string{"lan", "lan/v4", "nobody", "lan/vlan-5", ""} {
		specs = append(specs, ParseSpec(text))
	}
	for a := range 24 {
		specs = append(specs, ParseSpec(fmt.Sprintf("10.0.%d.%d", a/8, a%8)))
	}
	for _, sp := range specs {
		for _, opt := range []LogOptions{
			{From: []vcs.ID{head}}, {From: []vcs.ID{head, side}}, {From: []vcs.ID{head}, Not: []vcs.ID{side}}, {From: []vcs.ID{head}, Graph: true},
		} {
			opt.Specs = []Spec{sp}
			want := shown(t, s, opt, true)
			if got := shown(t, s, opt, false); !slices.Equal(got, want) {
				t.Fatalf("%v of the store by its log:\n%q\nwant:\n%q", sp, got, want)
			}
			if got := shown(t, d, opt, false); !slices.Equal(got, want) {
				t.Fatalf("%v of the directory by its commit-graph:\n%q\nwant:\n%q", sp, got, want)
			}
		}
	}
}
