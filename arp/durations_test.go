package arp

import (
	"fmt"
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	var d Durations
	for _, s := range []time.Duration{-time.Second, 100 * time.Microsecond, 100*time.Microsecond + 1, 700 * time.Millisecond, time.Hour} {
		d.Add(s)
	}
	want := map[time.Duration]uint64{100 * time.Microsecond: 2, time.Millisecond: 3, 100 * time.Millisecond: 3, time.Second: 4, 10 * time.Second: 4}
	last := time.Duration(0)
	for bound, n := range d.Buckets {
		if w, ok := want[bound]; ok && n != w || bound <= last {
			t.Errorf("%d up to %v, want %d", n, bound, w)
		}
		last = bound
	}
	if d.Count != 5 || d.Sum != time.Hour+700*time.Millisecond+200*time.Microsecond+1 {
		t.Errorf("%d in %v", d.Count, d.Sum)
	}
}

// Of a query that is answered it is counted how long it took, of nothing else.
func TestAnswersAreTimed(t *testing.T) {
	l := newLab(t, Config{Learn: LearnAlways})
	l.frame(meMAC, reply(bMAC, bIP)) // nobody asked
	l.e.Resolve(l.now, aIP)
	l.wait(300 * time.Millisecond)
	l.frame(meMAC, reply(aMAC, aIP))
	l.frame(meMAC, reply(aMAC, aIP))
	if w := l.e.Stats().Waited; w.Count != 1 || w.Sum != 300*time.Millisecond {
		t.Errorf("%+v", w)
	}
}

func ExampleDurations() {
	var d Durations
	d.Add(300 * time.Microsecond)
	d.Add(1500 * time.Millisecond)
	for bound, n := range d.Buckets {
		if bound == time.Millisecond || bound == 2*time.Second {
			fmt.Println(n, "within", bound)
		}
	}
	fmt.Println(d.Count, "in", d.Sum)
	// Output:
	// 1 within 1ms
	// 2 within 2s
	// 2 in 1.5003s
}
