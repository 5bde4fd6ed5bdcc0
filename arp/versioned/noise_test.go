package versioned

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// noise makes changes as strangers with random MAC addresses cause them.
type noise struct {
	r   *rand.Rand
	ops []arp.ChangeOp
	n   int
	all map[arp.ChangeOp]int // made
}

func newNoise(ops ...arp.ChangeOp) *noise {
	return &noise{r: rand.New(rand.NewPCG(3, 3)), ops: ops, all: map[arp.ChangeOp]int{}}
}

// make tells the table of one more.
func (z *noise) make(tab *Table) {
	op := z.ops[z.n%len(z.ops)]
	z.n++
	z.all[op]++
	v := z.r.Uint64()
	ip := netip.AddrFrom4([4]byte{10, byte(v), byte(v >> 8), byte(v >> 16)})
	c := learned(arp.Key{Domain: arp.DefaultDomain, Addr: ip}, ethernet.Addr{2, byte(v >> 24), byte(v >> 32), byte(v >> 40), byte(v >> 48), byte(v >> 56)}, ethernet.Addr{}, time.Now())
	c.Evidence.Solicited, c.Op = false, op
	switch op {
	case arp.OpLearned:
		tab.Put(c)
	case arp.OpMoved:
		c.Key, c.Old = key(fmt.Sprintf("10.9.7.%d", v%200)), aMAC
		tab.Put(c)
	case arp.OpQueryFailed:
		c.Evidence, c.MAC = arp.Evidence{}, ethernet.Addr{}
		tab.Record(c)
	default:
		c.Old = aMAC
		tab.Record(c)
	}
}

// floods returns the commits of floods, newest first, with their subjects, and
// how many others there are.
func floods(t *testing.T, tab *Table) (out []*vcs.Commit, others int) {
	t.Helper()
	for c, err := range tab.Commits() {
		switch {
		case err != nil:
			t.Fatal(err)
		case c.Trailer(TrailerCause) == "flood":
			out = append(out, c)
		case len(c.Parents) == 1:
			others++
		}
	}
	return out, others
}

// A flood of everything at once is one commit a second at most in each
// direction, which counts it exactly, tells of the first of each kind, and
// holds the entries; what is live is in the head.
func TestFloodIsFolded(t *testing.T) {
	for _, ops := range [][]arp.ChangeOp{
		{arp.OpLearned}, {arp.OpMoved}, {arp.OpRefused}, {arp.OpConflict}, {arp.OpQueryFailed},
		{arp.OpLearned, arp.OpRefused, arp.OpMoved, arp.OpQueryFailed, arp.OpConflict},
	} {
		t.Run(fmt.Sprint(ops), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tab, s := openStore(t, mem.New(), Config{Noise: Noise{MaxFold: 4 * time.Second}})
				z := newNoise(ops...)
				const seconds, perSecond = 20, 500
				for range seconds * perSecond {
					z.make(tab)
					time.Sleep(time.Second / perSecond)
				}
				time.Sleep(10 * time.Second)
				settle(t, tab)
				synctest.Wait()
				st := tab.Stats()
				commits, alone := floods(t, tab)
				ways := 1
				if len(ops) > 1 {
					ways = 2 // what nobody asked for, and what we asked for
				}
				if alone > ways*110 || len(commits) < ways*5 || len(commits) > ways*12 {
					t.Errorf("%d commits of their own and %d of floods in %d s", alone, len(commits), seconds)
				}
				var last [2]time.Time
				told := map[string]int{}
				turned := 0
				for _, c := range commits {
					way := 0
					if strings.Contains(c.Subject(), "query-failed") {
						way = 1
					}
					if strings.Contains(c.Subject(), "entries") {
						continue // the rest of what is live
					}
					at, err := time.Parse(time.RFC3339Nano, c.Trailer(TrailerTime))
					if d := last[way].Sub(at); err != nil || !last[way].IsZero() && d < time.Second-time.Second/perSecond {
						t.Errorf("two commits of a flood are %v apart, %v", d, err)
					}
					last[way] = at
					for _, part := range strings.Split(strings.TrimPrefix(c.Subject(), "arp: flood: "), ", ") {
						var n int
						var op string
						fmt.Sscan(part, &n, &op)
						told[op] += n
					}
					var n int
					fmt.Sscan(c.Trailer(TrailerTurned), &n)
					turned += n
					if way == 0 && len(c.Trailer(TrailerFrame)) != 84 {
						t.Errorf("no sample in\n%s", c.Message)
					}
				}
				want := alone
				for _, n := range told {
					want += n
				}
				if made := seconds * perSecond; want != made {
					t.Errorf("%d changes were made, the history tells of %d: %v", made, want, told)
				}
				if uint64(turned) != st.TurnedAway {
					t.Errorf("%d new addresses were turned away, the history tells of %d", st.TurnedAway, turned)
				}
				sameAsHead(t, tab)
				closeBoth(t, tab, s)
			})
		})
	}
}

// One loud station does not cost the others their commits, and not even a crowd
// costs those that we asked for theirs.
func TestNoiseOfOneIsNotNoiseOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s := openStore(t, mem.New(), Config{})
		loud := func(n int, mac func(i int) ethernet.Addr) {
			for i := range n {
				c := learned(key(fmt.Sprintf("10.8.%d.%d", i/250, 1+i%250)), mac(i), ethernet.Addr{}, time.Now())
				c.Evidence.Solicited = false
				tab.Put(c)
			}
		}
		loud(5000, func(int) ethernet.Addr { return bMAC })
		quiet := learned(key("10.9.0.7"), aMAC, ethernet.Addr{}, time.Now())
		quiet.Evidence.Solicited = false
		tab.Put(quiet)
		loud(5000, func(i int) ethernet.Addr { return ethernet.Addr{2, 9, 9, 9, byte(i >> 8), byte(i)} })
		asked := learned(key("10.9.0.8"), aMAC, ethernet.Addr{}, time.Now())
		tab.Put(asked)
		settle(t, tab)
		got := subjects(t, tab)
		for _, want := range []string{"arp: 10.9.0.7 -> 02:50:00:00:00:0a", "arp: 10.9.0.8 -> 02:50:00:00:00:0a"} {
			n := 0
			for _, g := range got {
				if g == want {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d commits %q", n, want)
			}
		}
		if n := len(tab.Entries()); n > 2048+2 || n < 1500 {
			t.Errorf("%d entries are kept", n)
		}
		closeBoth(t, tab, s)
	})
}

// Hours of noise leave the history of the others in the store, within a
// bound that it would have filled many times.
func TestNoiseDoesNotAgeOutHistory(t *testing.T) {
	hours := 4
	if raceOn {
		hours = 1
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := vcs.OpenStore(context.Background(), mem.New(), vcs.StoreConfig{Retention: vcs.Retention{MaxBytes: 1_500_000 + int64(hours)*400_000}})
		if err != nil {
			t.Fatal(err)
		}
		tab, err := Open(context.Background(), s, Config{Noise: Noise{MaxEntries: 1000, Keep: 500}})
		if err != nil {
			t.Fatal(err)
		}
		k := key("10.9.0.7")
		for i := range 50 {
			mac := ethernet.Addr{2, 0x77, 0, 0, 0, byte(1 + i)}
			c := learned(k, mac, ethernet.Addr{}, time.Now())
			tab.Put(c)
			time.Sleep(10 * time.Minute)
		}
		settle(t, tab)
		z := newNoise(arp.OpLearned, arp.OpRefused, arp.OpMoved, arp.OpQueryFailed, arp.OpConflict)
		for range hours * 3600 {
			for range 5 {
				z.make(tab)
			}
			time.Sleep(time.Second)
		}
		settle(t, tab)
		n := 0
		for _, err := range tab.Log(k) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 50 {
			t.Errorf("%d of 50 changes of a quiet station are left", n)
		}
		st := tab.Stats()
		t.Logf("%d changes in some hours: %d commits, %d folded, %d turned away", z.n, st.Commits, st.Folded, st.TurnedAway)
		closeBoth(t, tab, s)
	})
}

// The entries stay under their cap, the last quarter is for those that we ask
// for, and known ones go on changing.
func TestEntriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s := openStore(t, mem.New(), Config{Noise: Noise{MaxEntries: 100, Keep: 10_000, Alone: 10_000}})
		z := newNoise(arp.OpLearned)
		for range 1000 {
			z.make(tab)
		}
		if n := len(tab.Entries()); n != 75 {
			t.Errorf("%d entries of strangers, want 75", n)
		}
		for i := range 50 {
			tab.Put(learned(key(fmt.Sprintf("10.9.0.%d", i)), aMAC, ethernet.Addr{}, time.Now()))
		}
		if n := len(tab.Entries()); n != 100 {
			t.Errorf("%d entries, want 100", n)
		}
		tab.Put(learned(key("10.9.0.3"), bMAC, aMAC, time.Now()))
		tab.Put(arp.Change{Op: arp.OpPinned, Key: key("10.9.0.250"), MAC: bMAC, Time: time.Now()})
		settle(t, tab)
		for _, ip := range []string{"10.9.0.3", "10.9.0.250"} {
			if b, ok := tab.Get(key(ip)); !ok || b.MAC != bMAC {
				t.Errorf("%s: %+v, %v", ip, b, ok)
			}
		}
		sameAsHead(t, tab)
		closeBoth(t, tab, s)
	})
}

// What finds the ring full is counted, and the next commit says so.
func TestWriterThatCannotKeepUpIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := vcs.OpenStore(context.Background(), mem.New(), vcs.StoreConfig{})
		if err != nil {
			t.Fatal(err)
		}
		tab, err := open(context.Background(), s, Config{Ring: 8, Noise: Noise{Unbounded: true}}, dawdle(1))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2000 {
			k := key(fmt.Sprintf("10.9.0.%d", i%10))
			var mac ethernet.Addr
			binary.BigEndian.PutUint32(mac[2:], uint32(i+1))
			mac[0] = 2
			tab.Put(arp.Change{Op: arp.OpMoved, Key: k, MAC: mac, Time: time.Now()})
			tab.Record(arp.Change{Op: arp.OpRefused, Key: k, MAC: mac, Old: aMAC, Time: time.Now()})
		}
		settle(t, tab)
		st := tab.Stats()
		folded, lost := 0, 0
		for c, err := range tab.Commits() {
			if err != nil {
				t.Fatal(err)
			}
			var f, l int
			fmt.Sscan(c.Trailer(TrailerFolded), &f)
			fmt.Sscan(c.Trailer(TrailerLost), &l)
			folded, lost = folded+f, lost+l
		}
		if st.Lost == 0 || uint64(lost) != st.Lost || uint64(folded) != st.Folded || st.Commits+st.Lost+st.Folded != 4000 {
			t.Errorf("4000 changes; the commits tell of %d folded and %d lost; stats %+v", folded, lost, st)
		}
		sameAsHead(t, tab)
		closeBoth(t, tab, s)
	})
}
