package main

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"arpeggio/arp/versioned"
	"arpeggio/internal/keep"
)

// What vm run is told reaches the guest whole.
func TestGuestConfigTravels(t *testing.T) {
	for _, c := range []guestConfig{
		{Node: "a"},
		{Node: "b", Expire: time.Minute, Manage: true, Export: true, Saved: true,
			DNS: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}, NTP: []string{"time.example", "10.0.0.3"},
			Keep:   keep.Policy{Bytes: 64 << 20, Age: keep.Age(time.Hour), Commits: 5000, ArchiveBytes: 1 << 30},
			Record: recordFlags{compatFlags{"2015"}, noiseFlags{1, 2, 3, 4, 5, time.Second, true}}},
	} {
		w := c.words()
		for k, v := range w {
			if strings.ContainsAny(k+v, " =\"") {
				t.Errorf("%s=%s does not stand on a kernel's command line", k, v)
			}
		}
		if got, err := parseGuestConfig(w); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
	}
	for _, w := range []map[string]string{{"compat": "2016"}, {"dns": "10.0.0.1,x"}, {"noise-keep": "many"}, {"noise-alone": "-1"}, {"noise-max-fold": "soon"}} {
		if c, err := parseGuestConfig(w); err == nil {
			t.Errorf("%v is %+v", w, c)
		}
	}
}

func TestRecordFlags(t *testing.T) {
	f := recordFlags{compatFlags{"2015"}, noiseFlags{Alone: 7, MaxFold: time.Second, Unbounded: true}}
	if f.check() != nil || f.wording() != versioned.Wording2015 || versioned.Noise(f.Noise) != (versioned.Noise{Alone: 7, MaxFold: time.Second, Unbounded: true}) {
		t.Errorf("%+v", f)
	}
	for _, n := range []noiseFlags{{Keep: -1}, {MaxFold: -1}} {
		if (&recordFlags{Noise: n}).check() == nil {
			t.Errorf("%+v is accepted", n)
		}
	}
}
