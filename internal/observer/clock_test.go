package observer

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/observe"
	"arpeggio/arp/versioned"
	"arpeggio/stack/capture"
	"arpeggio/vcs"
)

var seven = arp.Key{Domain: arp.DefaultDomain, Addr: netip.MustParseAddr("10.9.0.7")}

// stretches are the holdings of 10.9.0.7, newest first, which must be in order.
func stretches(t *testing.T, o *Observer) (out []versioned.Holding) {
	t.Helper()
	j := o.cfg.Journal
	next := time.Time{}
	for h, err := range versioned.Holdings(t.Context(), j.Repo(), seven, j.Head()) {
		if err != nil {
			t.Fatal(err)
		}
		if !h.Until.Equal(next) || !next.IsZero() && h.From.After(next) || !h.Seen.IsZero() && (h.Seen.Before(h.From) || h.Seen.After(h.Until)) {
			t.Errorf("%v from %v until %v, last seen %v; the next one begins %v", h.MAC, h.From, h.Until, h.Seen, next)
		}
		next = h.From
		out = append(out, h)
	}
	return out
}

func takes(n byte, at time.Duration) capture.Packet {
	return capture.Packet{Time: begin.Add(at), Data: request(n, "10.9.0.7")}
}

// A capture from before what the history has is left out, and what comes later
// is read.
func TestOlderCaptureIsLeftOut(t *testing.T) {
	one := []capture.Interface{{Name: "va"}}
	o, s := newTestObserver(t, Config{})
	if _, err := read(t, o, file(t, one, takes(1, time.Hour), takes(2, time.Hour+time.Minute))); err != nil {
		t.Fatal(err)
	}
	head := o.cfg.Journal.Head()
	again, err := versioned.OpenJournal(t.Context(), s, versioned.JournalConfig{})
	if err != nil {
		t.Fatal(err)
	}
	o = New(Config{Journal: again})
	warnings, err := read(t, o, file(t, one, takes(3, 0), takes(4, time.Minute)), // an hour before
		file(t, one, takes(3, 3*time.Hour)), file(t, one, takes(5, 2*time.Hour)))
	if !errors.Is(err, ErrOlder) || !strings.Contains(err.Error(), "begins at 2026-03-01 12:00:00 UTC, and primary goes to 2026-03-01 13:01:00 UTC") {
		t.Errorf("the first one: %v", err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Text, "an earlier capture goes to 2026-03-01 15:00:00 UTC") {
		t.Errorf("the last one: %q", warnings)
	}
	if got := subjects(t, o, s); len(got) != 3 || again.Stats().Commits != 1 || o.Stats().Frames != 1 {
		t.Errorf("after %v: %q", head.Short(), got)
	}
	if got := stretches(t, o); len(got) != 3 || got[0].MAC[5] != 3 {
		t.Errorf("held by %v", got)
	}
}

// An operator's pin is of the time of day: captures of the week before can be
// read all the same.
func TestPinIsNoObservation(t *testing.T) {
	one := []capture.Interface{{Name: "va"}}
	o, s := newTestObserver(t, Config{})
	if _, err := read(t, o, file(t, one, takes(1, 0))); err != nil {
		t.Fatal(err)
	}
	repo := o.cfg.Journal.Repo()
	me := vcs.Signature{Name: "me", Email: "me@example.com"}
	info := vcs.CommitInfo{Author: me, Committer: me, Time: begin.Add(24 * time.Hour)}
	if _, _, err := versioned.Pin(t.Context(), repo, versioned.Primary, "observer", seven, [6]byte{2, 0x50, 0, 0, 0, 1}, info); err != nil {
		t.Fatal(err)
	}
	j, err := versioned.OpenJournal(t.Context(), s, versioned.JournalConfig{})
	if err != nil {
		t.Fatal(err)
	}
	o = New(Config{Journal: j})
	if _, err := read(t, o, file(t, one, takes(2, time.Hour))); err != nil {
		t.Fatal(err)
	}
	if st := o.Stats(); st.Frames != 1 || st.Behind != 0 {
		t.Errorf("%+v", st)
	}
}

// Where the timestamps of a capture go back, what follows is put down behind
// what came before, with the clock's own time beside it. It is told once.
func TestClockThatGoesBack(t *testing.T) {
	var notes []string
	o, s := newTestObserver(t, Config{Note: func(s string) { notes = append(notes, s) }})
	in := file(t, []capture.Interface{{Name: "va"}}, takes(1, 0), takes(2, time.Minute), takes(1, time.Hour),
		takes(3, time.Second), takes(3, time.Minute), takes(1, 2*time.Minute), // the clock is an hour back
		takes(4, 2*time.Hour), takes(5, 2*time.Hour-5*time.Second)) // it has caught up; a frame out of order
	if _, err := read(t, o, in); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "va: the timestamps go back 59m59s, from 2026-03-01 13:00:00 UTC to 2026-03-01 12:00:01 UTC") {
		t.Errorf("told %q", notes)
	}
	if st := o.Stats(); st.Behind != 3 {
		t.Errorf("%+v", st)
	}
	var macs []byte
	for _, h := range stretches(t, o) {
		macs = append(macs, h.MAC[5])
	}
	if string(macs) != "\x05\x04\x01\x03\x01\x02\x01" {
		t.Errorf("held, newest first, by %v", macs)
	}
	clocks := 0
	for c, err := range s.Log(o.cfg.Journal.Head()) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Trailer(versioned.TrailerEvent) == versioned.EventClock {
			clocks++
			if c.Subject() != "arp: va: the clock went back 59m59s, to 2026-03-01 12:00:01 UTC" {
				t.Error(c.Subject())
			}
		}
		want := begin.Add(time.Hour).Format(time.RFC3339Nano)
		if c.Trailer(versioned.TrailerMAC) == "02:50:00:00:00:05" {
			want = begin.Add(2 * time.Hour).Format(time.RFC3339Nano)
		}
		if stamp := c.Trailer(versioned.TrailerStamp); stamp != "" && c.Trailer(versioned.TrailerTime) != want {
			t.Errorf("%s: Arp-Time %s, Arp-Stamp %s", c.Subject(), c.Trailer(versioned.TrailerTime), stamp)
		}
	}
	if clocks != 1 {
		t.Errorf("%d commits about the clock", clocks)
	}
}

// A flood is one line, and with Ends a second one that says how many there were.
func TestEndsOfEpisodes(t *testing.T) {
	var frames []capture.Packet
	for i := range 500 {
		at := time.Duration(i) * time.Millisecond
		frames = append(frames, capture.Packet{Time: begin.Add(at), Data: request(byte(i), netip.AddrFrom4([4]byte{10, 9, byte(1 + i/250), byte(i % 250)}).String())})
	}
	in := file(t, []capture.Interface{{Name: "va"}}, frames...)
	var heads []vcs.ID
	for _, ends := range []bool{false, true} {
		var told []string
		o, _ := newTestObserver(t, Config{Ends: ends, Engine: observe.Config{MaxMACs: 2}, Tell: func(r *observe.Record, commit string) {
			if r.Type == observe.Flood {
				told = append(told, fmt.Sprint(r.Phase, " ", r.Count, " ", commit != ""))
			}
		}})
		if _, err := read(t, o, in); err != nil {
			t.Fatal(err)
		}
		want := "began 100 true"
		if ends {
			want += "|ended 500 true"
		}
		if got := strings.Join(told, "|"); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		heads = append(heads, o.cfg.Journal.Head())
	}
	if heads[0] != heads[1] {
		t.Error("what is printed changes the history")
	}
}
