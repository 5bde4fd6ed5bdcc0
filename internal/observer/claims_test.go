package observer

import (
	"testing"
	"time"

	"arpeggio/arp/observe"
	"arpeggio/arp/versioned"
	"arpeggio/stack/capture"
)

// Whoever claims an address for an hour, and is refused, is a claimant at each
// moment of it, by the history alone.
func TestRefusedClaimantAtEachMoment(t *testing.T) {
	o, _ := newTestObserver(t, Config{Engine: observe.Config{Policy: observe.First}})
	var frames []capture.Packet
	for s := range 3600 {
		at := time.Duration(s) * time.Second
		frames = append(frames, takes(1, at))
		if s >= 10 {
			frames = append(frames, takes(2, at+time.Millisecond))
		}
	}
	if _, err := read(t, o, file(t, []capture.Interface{{Name: "va"}}, frames...)); err != nil {
		t.Fatal(err)
	}
	if n := o.Stats().Journal.Commits; n > 70 {
		t.Errorf("%d commits", n)
	}
	j := o.cfg.Journal
	for at := 10 * time.Second; at < time.Hour; at += 7*time.Minute + 13*time.Second {
		a, err := versioned.HolderAt(t.Context(), j.Repo(), seven, begin.Add(at), time.Minute, j.Head())
		if err != nil {
			t.Fatal(err)
		}
		if a.Holder == nil || a.Holder.MAC[5] != 1 || !a.Disputed() || len(a.Claims) != 1 || a.Claims[0].MAC[5] != 2 ||
			a.Claims[0].Against != a.Holder.MAC || a.Claims[0].Rule != "first" || len(a.MACs()) != 2 {
			t.Errorf("at %v: %+v", at, a)
		}
	}
}
