package observe

import (
	"testing"
	"time"

	"arpeggio/arp"
)

// What each policy makes of a host whose card was replaced.
func TestPolicies(t *testing.T) {
	for policy, wantMoveAt := range map[Policy]int{Compat: 0, Strict: 1, Verify: 2, First: -1} {
		l := newLab(t, Config{Policy: policy})
		l.says(mac(1), ip(7))
		l.wait(time.Hour)
		movedAt := -1
		for i, step := range []func(){
			func() { l.says(mac(2), ip(7)) },
			func() { l.asks(mac(9), ip(9), ip(7)); l.replies(mac(2), ip(7), mac(9), ip(9)) },
			func() { l.says(mac(2), ip(7)) },
		} {
			before := len(l.all)
			step()
			for j := range l.all[before:] {
				if l.all[before+j].Op == arp.OpMoved && movedAt < 0 {
					movedAt = i
				}
			}
			l.wait(2 * time.Second)
		}
		if movedAt != wantMoveAt {
			t.Errorf("%v: moved at step %d, want %d", policy, movedAt, wantMoveAt)
		}
		alerts := 0
		for i := range l.all {
			if l.all[i].Alert && l.all[i].Type == Changed {
				alerts++
			}
		}
		if alerts != 1 {
			t.Errorf("%v: %d alerts of the change", policy, alerts)
		}
	}
}

// A refused claim is recorded, not bound, and not recorded at each frame.
func TestRefusedClaim(t *testing.T) {
	l := newLab(t, Config{Policy: First})
	l.says(mac(1), ip(7))
	l.wait(time.Hour)
	l.want(l.says(mac(2), ip(7)), "changed 10.9.0.7 2 (1) refused !")
	l.want(l.says(mac(2), ip(7)))
	l.wait(time.Second)
	l.want(l.says(mac(2), ip(7)))
	l.wait(time.Second)
	l.want(l.says(mac(1), ip(7)))
	k, _ := l.e.Lookup(arp.Key{Domain: "lan", Addr: ip(7)})
	if len(k.Owners) != 2 || k.Owners[0].MAC != mac(1) || k.Owners[1].Frames != 3 || k.Owners[0].Frames != 2 {
		t.Errorf("known: %+v", k)
	}
}

// While a claim that is refused goes on, the record says so once a minute, with
// how many there were, and nothing is printed again. Many at once share a commit.
func TestRefusedClaimGoesOn(t *testing.T) {
	l := newLab(t, Config{Policy: First, DupWindow: -1, StationBurst: -1})
	l.says(mac(1), ip(7))
	l.wait(time.Hour)
	for range 10 * 60 {
		l.says(mac(1), ip(7))
		l.says(mac(2), ip(7))
		l.says(mac(3), ip(7))
		l.wait(time.Second)
	}
	count := map[int]uint64{}
	records := map[int]int{}
	for i := range l.all {
		if r := &l.all[i]; r.Op == arp.OpRefused {
			n := int(r.MAC[5])
			if records[n]++; records[n] > 1 && (r.Alert || r.Type != TypeNone || r.Count != 60 || r.Folded) {
				t.Errorf("%+v", r)
			}
			count[n] += r.Count
		}
	}
	if records[2] != 10 || records[3] != 10 || count[2] != 541 || count[3] != 541 {
		t.Errorf("records %v of claims %v", records, count)
	}
	for n := range 150 { // a claimant of everything
		l.says(mac(1000+n), ip(1000+n))
	}
	l.wait(time.Hour)
	for range 61 {
		for n := range 150 {
			l.says(mac(4), ip(1000+n))
		}
		l.wait(time.Second)
	}
	alone := 0
	for i := range l.all {
		if r := &l.all[i]; r.Op == arp.OpRefused && r.Type == TypeNone && r.MAC == mac(4) && !r.Folded {
			alone++
		}
	}
	if alone != 100 {
		t.Errorf("%d of 150 claims have commits of their own", alone)
	}
}
