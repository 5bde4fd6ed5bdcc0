package versioned

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// seenRows makes rows, from a number to another, as they are at a time.
func seenRows(from, to int, at time.Time) iter.Seq[Seen] {
	return func(yield func(Seen) bool) {
		for i := from; i < to; i++ {
			k := key(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
			if i%3 == 1 {
				k.VLAN = ethernet.VLAN{Outer: 100, Inner: uint16(i%4000 + 1)}
			}
			if i%5 == 2 {
				k = key(fmt.Sprintf("fe80::%x", i+1))
			}
			s := Seen{Key: k, Owners: []SeenOwner{{mac(i), at.Add(-time.Hour), at, uint64(i) << 20}}}
			if i%7 == 0 {
				s.Owners = append(s.Owners, SeenOwner{mac(i + 1), at.Add(-3 * time.Hour), at.Add(-2 * time.Hour), 1})
			}
			if !yield(s) {
				return
			}
		}
	}
}

func seenMap(rows iter.Seq[Seen]) map[arp.Key][]SeenOwner {
	m := make(map[arp.Key][]SeenOwner)
	for s := range rows {
		m[s.Key] = s.Owners
	}
	return m
}

func sameSeen(t *testing.T, path string, want map[arp.Key][]SeenOwner) {
	t.Helper()
	got, err := LoadSeen(path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	equal := func(a, b []SeenOwner) bool {
		return slices.EqualFunc(a, b, func(a, b SeenOwner) bool {
			return a.MAC == b.MAC && a.First.Equal(b.First) && a.Last.Equal(b.Last) && a.Frames == b.Frames
		})
	}
	if !maps.EqualFunc(got, want, equal) {
		t.Fatalf("%d addresses, want %d", len(got), len(want))
	}
}

func TestSeenIndexKeepsTheNewest(t *testing.T) {
	path := SeenPath(t.TempDir(), "what/if")
	if filepath.Base(path) != "arp-seen-what-if" {
		t.Error(path)
	}
	const n = 20_000
	want := map[arp.Key][]SeenOwner{}
	x := OpenSeenIndex(path)
	none := seenRows(0, 0, journalStart)
	for round := range 12 {
		at := journalStart.Add(time.Duration(round) * time.Minute)
		changed := seenRows(round*1000, round*1000+5000, at)
		if round == 0 {
			changed = seenRows(0, n, at)
		}
		maps.Copy(want, seenMap(changed))
		all := func(yield func(Seen) bool) {
			for k, o := range want {
				if !yield(Seen{k, o}) {
					return
				}
			}
		}
		if err := x.Save(changed, all); err != nil {
			t.Fatal(err)
		}
	}
	if x.added > smallSeen+2*x.base {
		t.Errorf("%d octets were added to %d", x.added, x.base)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	sameSeen(t, path, want)
	if m, err := LoadSeen(path, 10); err != nil || len(m) != 10 {
		t.Errorf("with a limit: %d, %v", len(m), err)
	}
	// The next run begins with what it was seeded with.
	x = OpenSeenIndex(path)
	if err := errors.Join(x.Save(none, seenRows(0, 7, journalStart)), x.Close()); err != nil {
		t.Fatal(err)
	}
	sameSeen(t, path, seenMap(seenRows(0, 7, journalStart)))
}

// Whatever a crash leaves of a file is read up to there.
func TestSeenIndexTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "arp-seen")
	if m, err := LoadSeen(path, 10); err != nil || len(m) != 0 {
		t.Errorf("without a file: %v, %v", m, err)
	}
	x := OpenSeenIndex(path)
	for i := range 3 {
		if err := x.Save(seenRows(i*10, i*10+10, journalStart), seenRows(0, 10, journalStart)); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := 0
	for n := range whole {
		m, err := ReadSeen(bytes.NewReader(whole[:n]), 100)
		if err == nil {
			good++
		} else if !errors.Is(err, ErrSeen) {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if len(m)%10 != 0 {
			t.Fatalf("cut at %d: %d addresses", n, len(m))
		}
	}
	if good != 3 { // after the head and after each of two batches
		t.Errorf("%d cuts look whole", good)
	}
	for i := 8; i < len(whole); i += 3 {
		torn := slices.Clone(whole)
		torn[i] ^= 0x10
		if _, err := ReadSeen(bytes.NewReader(torn), 100); !errors.Is(err, ErrSeen) {
			t.Fatalf("octet %d damaged: %v", i, err)
		}
	}
}

// A write that fails is reported by the next Save, which begins a new file.
func TestSeenIndexWriteFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	path := filepath.Join(dir, "arp-seen")
	x := OpenSeenIndex(path)
	rows := seenRows(0, 10, journalStart)
	x.Save(rows, rows)
	var err error
	for deadline := time.Now().Add(time.Minute); err == nil && time.Now().Before(deadline); {
		err = x.Save(rows, rows)
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("error %v", err)
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline); {
		err = x.Save(rows, rows)
	}
	if err := errors.Join(err, x.Close()); err != nil {
		t.Fatal(err)
	}
	sameSeen(t, path, seenMap(rows))
}

func FuzzReadSeen(f *testing.F) {
	var rows []byte
	for s := range seenRows(0, 10, journalStart) {
		rows = appendSeen(rows, &s)
	}
	f.Add(rows)
	f.Add([]byte{3, 'l', 'a', 'n', 0, 0, 4, 10, 9, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		// The checksum keeps damage away from here; a forged one must do no harm.
		for len(b) > 0 {
			s, rest, ok := parseSeen(b)
			if !ok {
				return
			}
			again, left, ok := parseSeen(appendSeen(nil, &s))
			if !ok || len(left) > 0 || again.Key != s.Key || len(again.Owners) != len(s.Owners) {
				t.Fatalf("%+v becomes %+v", s, again)
			}
			b = rest
		}
		ReadSeen(bytes.NewReader(append([]byte(seenMagic), b...)), 10)
	})
}
