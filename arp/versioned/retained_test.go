package versioned

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// evidence is an ARP reply from a station to us, as it stood on the wire.
func evidence(k arp.Key, mac ethernet.Addr) arp.Evidence {
	us, ours := ethernet.Addr{2, 0x50, 0x2a, 0x16, 0x6d, 1}, [4]byte{10, 9, 0, 1}
	ip := k.Addr.As4()
	f := append(append([]byte{}, us[:]...), mac[:]...)
	f = append(f, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2)
	f = append(append(append(append(f, mac[:]...), ip[:]...), us[:]...), ours[:]...)
	e := arp.Evidence{Kind: arp.KindReply, Solicited: true, Source: mac}
	e.Len = uint8(copy(e.Frame[:], f))
	return e
}

// TestRetained: what a commit leaves in the log, as this package writes it:
// changes with their evidence, and expiries that are branched and merged.
func TestRetained(t *testing.T) {
	back := mem.New()
	now := t0
	tab, s := openStore(t, back, Config{Clock: func() time.Time { return t0 }})
	rnd := rand.New(rand.NewPCG(1, 1))
	logged := func() (n int) {
		t.Helper()
		if err := tab.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		st, err := back.Load(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := range st.Log {
			if err != nil {
				t.Fatal(err)
			}
			n += len(rec)
		}
		return n
	}
	const stations = 500
	macs := make([]ethernet.Addr, stations)
	change := func(i int, op arp.ChangeOp) {
		k := key(fmt.Sprintf("10.9.%d.%d", i/250, 1+i%250))
		old := macs[i]
		if op != arp.OpExpired {
			for b := range macs[i] {
				macs[i][b] = byte(rnd.Uint32())
			}
			macs[i][0] = 2
		}
		now = now.Add(time.Duration(rnd.IntN(3000)) * time.Millisecond)
		c := arp.Change{Op: op, Key: k, MAC: macs[i], Old: old, Time: now, Interface: "eth0", Rule: "solicited", Deadline: now.Add(20 * time.Minute)}
		switch {
		case op == arp.OpExpired:
			w := arp.Work{ID: uint64(i + 1), Kind: arp.WorkExpiry, Key: k, Time: now}
			c.MAC, c.Work, c.Rule, c.Deadline = ethernet.Addr{}, w.ID, "last probe unanswered", time.Time{}
			tab.Begin(w)
			tab.Expire(c)
			tab.End(w, arp.OutcomeFailed)
			return
		case old.IsZero():
			c.Op = arp.OpLearned
		}
		c.Evidence = evidence(k, macs[i])
		tab.Put(c)
	}
	commits := func() uint64 {
		st := tab.Stats()
		return st.Commits + st.Merges
	}
	measure := func(what string, n int, limit float64, op arp.ChangeOp) {
		t.Helper()
		bytes, before := logged(), commits()
		for i := range n {
			change(i%stations, op)
			if i%200 == 199 {
				if err := tab.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		bytes = logged() - bytes
		each := float64(bytes) / float64(commits()-before)
		t.Logf("%s: %d commits, %.1f bytes each", what, commits()-before, each)
		if each > limit {
			t.Errorf("%s: %.1f bytes a commit, want at most %v", what, each, limit)
		}
	}
	measure("learned for the first time", stations, 200, arp.OpLearned)
	measure("moved", 4000, 80, arp.OpMoved)
	measure("expired", stations, 80, arp.OpExpired)
	refs, err := s.Refs()
	if err != nil {
		t.Fatal(err)
	}
	closeBoth(t, tab, s)
	s, err = vcs.OpenStore(t.Context(), back, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if rep, err := vcs.Verify(t.Context(), s, refs, nil); err != nil || !rep.OK() {
		t.Errorf("%v %v", rep.String(), err)
	}
}
