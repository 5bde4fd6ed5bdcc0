package history

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// TestAskerFar: an answer that lies far back is the one that reading everything
// gives.
func TestAskerFar(t *testing.T) {
	s, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	j, err := versioned.OpenJournal(t.Context(), s, versioned.JournalConfig{})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	owner := make(map[byte]ethernet.Addr)
	at := start
	for range 2_000 {
		at = at.Add(time.Duration(rng.IntN(40)) * time.Second)
		host := byte(1)
		if rng.IntN(3) == 0 {
			host = 2 + byte(rng.IntN(3))
		}
		o := versioned.Observation{Op: arp.OpMoved, Key: arp.Key{Domain: "lan", Addr: netip.AddrFrom4([4]byte{10, 9, 0, host})}, Time: at,
			MAC: ethernet.Addr{2, 0, 0, 0, 0, byte(rng.IntN(3))}, Old: owner[host], Learned: "request"}
		if rng.IntN(10) == 0 {
			o.Op, o.MAC = arp.OpExpired, ethernet.Addr{}
		}
		if rng.IntN(10) == 0 {
			o.Op, o.MAC, o.Rule = arp.OpRefused, ethernet.Addr{2, 0, 0, 0, 1, byte(rng.IntN(3))}, "first"
		} else {
			owner[host] = o.MAC
		}
		if _, err := j.Write(t.Context(), &o); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	head, err := s.ReadCommit(j.Head())
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewAsker(s, head, time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	commit := func(h *versioned.Holding) vcs.ID {
		if h == nil {
			return vcs.ID{}
		}
		return h.Commit
	}
	claims := 0
	for range 60 {
		q := start.Add(time.Duration(rng.Int64N(int64(at.Sub(start)))) - time.Minute)
		k, _, err := a.Key(t.Context(), netip.AddrFrom4([4]byte{10, 9, 0, 1 + byte(rng.IntN(4))}), Networks{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.At(t.Context(), k, q)
		if err != nil {
			t.Fatal(err)
		}
		want, err := versioned.HolderAt(t.Context(), j.Repo(), k, q, time.Minute, j.Head())
		if err != nil {
			t.Fatal(err)
		}
		for i := range got.Claimants {
			if first := got.Claimants[i].First; first.IsZero() || first.After(got.Claimants[i].From) {
				t.Errorf("%v: first seen %v", k, first)
			}
			got.Claimants[i].First = time.Time{} // HolderAt does not look
		}
		claims += len(got.Claims)
		if commit(got.Holder) != commit(want.Holder) || got.Holder != nil && got.Holder.Until != want.Holder.Until ||
			commit(got.Before) != commit(want.Before) || commit(got.After) != commit(want.After) ||
			!slices.Equal(got.Claimants, want.Claimants) || !slices.Equal(got.Claims, want.Claims) {
			t.Fatalf("%v at %v:\n%+v\nwant\n%+v", k, q, got, want)
		}
	}
	if claims == 0 {
		t.Error("no claim was found")
	}
}
