package observe

import (
	"testing"
	"time"
)

// A station that claims address after address, too slowly for a flood, has a
// hundred commits of its own and then ten a minute; one line says so, and all is
// recorded. The others are told as ever.
func TestLoudStation(t *testing.T) {
	l := newLab(t, Config{})
	const hours = 3
	for i := range hours * 3600 * 2 { // twice a second
		l.says(mac(66), ip(1000+i%20000))
		if i%7200 == 0 {
			l.says(mac(1+i/7200), ip(1+i/7200)) // somebody else, once an hour
		}
		l.wait(500 * time.Millisecond)
	}
	l.finish()
	alone, folded, others := 0, 0, 0
	for i := range l.all {
		switch r := &l.all[i]; {
		case !r.Binds():
		case r.MAC != mac(66):
			if !r.Folded {
				others++
			}
		case r.Folded:
			folded++
		default:
			alone++
		}
	}
	if most := 100 + 20000/2*10/60; alone > most || alone < most-20 || alone+folded != 20000 {
		t.Errorf("%d commits of its own and %d folded", alone, folded)
	}
	lines := map[string]int{}
	for _, line := range l.lines {
		if line.Record.MAC == mac(66) && line.Record.Detail != "" {
			lines[line.Record.Detail]++
		} else if line.Record.MAC != mac(66) {
			others++
		}
	}
	if len(lines) != 1 || others != 2*hours {
		t.Errorf("lines %v; the others have %d commits and lines, want %d", lines, others, 2*hours)
	}
}

// Two cards that fight for one address: the same.
func TestLoudFlips(t *testing.T) {
	l := newLab(t, Config{DupWindow: -1})
	for range 3600 {
		l.says(mac(1), ip(7))
		l.wait(500 * time.Millisecond)
		l.says(mac(2), ip(7))
		l.wait(500 * time.Millisecond)
	}
	alone := 0
	for i := range l.all {
		if r := &l.all[i]; r.Binds() && !r.Folded {
			alone++
		}
	}
	if alone > 2*(100+600) {
		t.Errorf("%d commits", alone)
	}
}

func TestQuotaOverStepsOfTime(t *testing.T) {
	var q quota
	for i := range 100 {
		if q.take(1000, 100, 10) {
			t.Fatalf("refused after %d", i)
		}
	}
	if !q.take(1000, 100, 10) || !q.take(10, 100, 10) {
		t.Error("a clock that goes back gives more")
	}
	if q.take(16, 100, 10) {
		t.Error("it does not fill again")
	}
	if !q.take(16, 100, 10) {
		t.Error("it fills too fast")
	}
}
