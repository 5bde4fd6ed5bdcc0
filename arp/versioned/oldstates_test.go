package versioned_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// TestOldStates: old tables are the same, whatever is in the file that makes them
// quick, and the file is brought up to date and put right.
func TestOldStates(t *testing.T) {
	write := func(back vcs.Backend, seed uint64, from, to int) {
		t.Helper()
		s, err := vcs.OpenStore(t.Context(), back, vcs.StoreConfig{})
		if err != nil {
			t.Fatal(err)
		}
		j, err := versioned.OpenJournal(t.Context(), s, versioned.JournalConfig{})
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(seed, seed))
		for i := from; i < to; i++ {
			o := versioned.Observation{Op: arp.OpLearned, Key: arp.Key{Domain: "lan", Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(40))})},
				MAC: ethernet.Addr{2, 0, 0, 0, byte(i >> 8), byte(i)}, Time: time.Unix(int64(1_700_000_000+i), 0), Interface: "eth0", Learned: "reply"}
			if _, err := j.Write(t.Context(), &o); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	back := mem.New()
	write(back, 1, 0, 5000)
	path := filepath.Join(t.TempDir(), "arp-states")
	want := make(map[vcs.ID]map[arp.Key]versioned.Entry)
	// check asks an anew opened store for old tables.
	check := func(what string, file []byte) []byte {
		t.Helper()
		if file != nil {
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := vcs.OpenStore(t.Context(), back, vcs.StoreConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		repo, err := versioned.NewRepo(s)
		if err != nil {
			t.Fatal(err)
		}
		head, err := repo.Head(versioned.Primary)
		if err != nil {
			t.Fatal(err)
		}
		if file != nil {
			if err := versioned.OldStates(t.Context(), s, head, path); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		for c, err := range s.Log(head) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n%331 != 0 {
				continue
			}
			snap, err := repo.AtCommit(c.ID)
			if err != nil {
				t.Fatal(err)
			}
			m, err := snap.Map()
			if err != nil {
				t.Fatal(err)
			}
			if want[c.ID] == nil {
				want[c.ID] = m
			}
			if !maps.Equal(m, want[c.ID]) {
				t.Fatalf("%s: another table at %v", what, c.Time())
			}
		}
		made, _ := os.ReadFile(path)
		return made
	}
	check("no file", nil)
	whole := check("a new file", []byte{})
	if n := len(whole); n < 4*40*20 || n > 5000*30 {
		t.Errorf("a file of %d octets", n)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 8 {
		torn := append([]byte{}, whole...)
		torn[rng.IntN(len(torn))] ^= byte(1 + rng.IntN(255))
		if again := check("a damaged file", torn); fmt.Sprintf("%x", again) != fmt.Sprintf("%x", whole) {
			t.Errorf("a damaged file of %d octets was not put right, but has %d", len(whole), len(again))
		}
	}
	if again := check("a file that is cut off", whole[:len(whole)/2]); len(again) != len(whole) {
		t.Errorf("a file that was cut off has %d octets, not %d", len(again), len(whole))
	}
	write(back, 2, 5000, 8000)
	if longer := check("a history that went on", whole); len(longer) <= len(whole) {
		t.Errorf("3,000 changes later the file has %d octets, as before", len(longer))
	}
	back = mem.New()
	write(back, 9, 0, 6000)
	clear(want)
	check("no file for another history", nil)
	if other := check("a file of another history", whole); string(other[:len(whole)]) == string(whole) {
		t.Error("the states of another history stayed")
	}
}
