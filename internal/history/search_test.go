package history

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// recorder writes a random record: what observers write, floods, pins, reverts,
// branches that are merged, commits of other programs, heads that go back.
type recorder struct {
	t    *testing.T
	rng  *rand.Rand
	s    *vcs.Store
	repo *versioned.Repo
	j    *versioned.Journal
	now  time.Time
	skew bool
	fed  *versioned.RecordIndex // by the journal
}

func newRecorder(t *testing.T, seed uint64, retention vcs.Retention) *recorder {
	t.Helper()
	s, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{Retention: retention})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	repo, err := versioned.NewRepo(s)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{t: t, rng: rand.New(rand.NewPCG(seed, 7)), s: s, repo: repo, now: time.Unix(start, 0)}
	r.fed = versioned.OpenRecordIndex(filepath.Join(t.TempDir(), "arp-index"))
	r.j, err = versioned.OpenJournal(t.Context(), s, versioned.JournalConfig{Index: r.fed})
	r.must(err)
	return r
}

func (r *recorder) must(err error) {
	r.t.Helper()
	if err != nil && !errors.Is(err, vcs.ErrRefMoved) { // by the store, which begins an epoch
		r.t.Fatal(err)
	}
}

func (r *recorder) mac() ethernet.Addr { return ethernet.Addr{2, 0, 0, 0, 0, byte(r.rng.IntN(12))} }

func (r *recorder) addr() netip.Addr {
	if r.rng.IntN(4) == 0 {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", r.rng.IntN(4)))
	}
	return netip.AddrFrom4([4]byte{10, 0, byte(r.rng.IntN(2)), byte(r.rng.IntN(8))})
}

func (r *recorder) key() arp.Key {
	k := arp.Key{Domain: []string{"lan", "two words"}[r.rng.IntN(2)], Addr: r.addr()}
	if r.rng.IntN(4) == 0 {
		k.VLAN = ethernet.VLAN{Inner: 5}
	}
	return k
}

// info is of a commit that somebody else makes.
func (r *recorder) info(message string) vcs.CommitInfo {
	at := r.now
	if r.skew {
		at = at.Add(time.Duration(r.rng.IntN(240)-120) * time.Second)
	}
	return vcs.CommitInfo{Message: message, Time: at, AllowEmpty: true}
}

// step changes something.
func (r *recorder) step() {
	t := r.t
	t.Helper()
	r.now = r.now.Add(time.Duration(r.rng.IntN(20)) * 100 * time.Millisecond)
	head := r.j.Head()
	entry := versioned.Entry{State: versioned.Dynamic, MAC: r.mac(), Learned: "x", Interface: "eth0", Node: "n", FirstSeen: r.now.Unix(), Clock: r.now.UnixMilli()}
	write := func(branch, message string, n int) {
		at, err := r.repo.Head(branch)
		r.must(err)
		var changes []vcs.Change[arp.Key, versioned.Entry]
		for range n {
			entry.Clock++
			entry.MAC = r.mac()
			changes = append(changes, vcs.Change[arp.Key, versioned.Entry]{Key: r.key(), Value: vcs.Some(entry)})
		}
		_, err = r.repo.Commit(t.Context(), branch, at, changes, r.info(message))
		r.must(err)
	}
	switch n := r.rng.IntN(40); {
	case n < 24 || head.IsZero():
		o := versioned.Observation{Op: []arp.ChangeOp{arp.OpLearned, arp.OpMoved, arp.OpExpired, arp.OpRefused, arp.OpPinned, arp.OpNone}[r.rng.IntN(6)],
			Key: r.key(), MAC: r.mac(), Time: r.now, Interface: "eth0", Learned: "request", Folded: r.rng.IntN(3) == 0,
			Events: []string{[]string{"new-station", "changed", "spoof", "scan"}[r.rng.IntN(4)]}}
		if have, ok := r.j.Get(o.Key); ok {
			o.Old, o.LastSeen, o.Frames = have.MAC, r.now.Add(-time.Second), 3
		}
		if r.rng.IntN(8) == 0 {
			o.Events = append(o.Events, fmt.Sprint("kind-", r.rng.IntN(400)))
		}
		if _, err := r.j.Write(t.Context(), &o); errors.Is(err, vcs.ErrNotFound) {
			// Others have been at work for a whole epoch.
			r.j, err = versioned.OpenJournal(t.Context(), r.s, versioned.JournalConfig{Index: r.fed})
			r.must(err)
		} else {
			r.must(err)
		}
	case n < 27: // of another program, some of which lie
		message := []string{"by hand", "by hand\n\nArp-Cause: learned\nArp-Address: 10.0.0.3\nArp-MAC: 02:00:00:00:00:03\n", "strange\n\nArp-Address: 2001:db8:0::1\nArp-MAC: nobody\n"}[r.rng.IntN(3)]
		write("primary", message, r.rng.IntN(4))
	case n < 31:
		if _, err := r.repo.Head("side"); err != nil {
			r.must(r.repo.CreateBranch(t.Context(), "side", r.head().ID))
		}
		write("side", "aside", 1+r.rng.IntN(2))
	case n < 34:
		side, err := r.repo.Head("side")
		if err != nil {
			return
		}
		_, err = r.repo.Merge(t.Context(), "primary", side, vcs.MergeOptions{CommitInfo: r.info("arp: merged\n\nArp-Cause: merge\nArp-Branch: side\n")})
		r.must(err)
		if r.rng.IntN(2) == 0 {
			r.must(r.repo.DeleteBranch(t.Context(), "side", side))
		}
	case n < 36:
		at, err := r.repo.Head("primary")
		r.must(err)
		c, err := r.s.ReadCommit(at)
		r.must(err)
		if len(c.Parents) == 1 {
			_, _ = r.repo.Revert(t.Context(), "primary", c.ID, vcs.MergeOptions{CommitInfo: r.info("Revert")}) // a conflict changes nothing
		}
	case n < 37: // somebody forces the branch back
		at, err := r.repo.Head("primary")
		r.must(err)
		c, err := r.s.ReadCommit(at)
		r.must(err)
		if len(c.Parents) > 0 {
			r.must(r.repo.SetBranch(t.Context(), "primary", at, c.Parents[r.rng.IntN(len(c.Parents))]))
		}
	}
}

// settle leaves the store no epoch to end or to drop by itself.
func (r *recorder) settle() {
	_, err := r.s.Collect(r.t.Context())
	r.must(err)
}

// head is primary's.
func (r *recorder) head() *vcs.Commit {
	r.t.Helper()
	id, err := r.repo.Head("primary")
	r.must(err)
	c, err := r.s.ReadCommit(id)
	r.must(err)
	return c
}

// ids are the commits of a log.
func (r *recorder) ids(opt LogOptions) (out []string) {
	r.t.Helper()
	for l, err := range Log(r.s, opt) {
		r.must(err)
		out = append(out, fmt.Sprint(l.ID.Short(), " ", l.Time().Unix()-start, " ", len(l.Parents), " ", l.Subject()))
	}
	return out
}

// query is a random question.
func (r *recorder) query() (opt LogOptions) {
	opt.From = []vcs.ID{r.head().ID}
	for opt.Until.IsZero() && !opt.Mentions && len(opt.MACs)+len(opt.Types) == 0 {
		if r.rng.IntN(3) == 0 {
			opt.Specs, opt.Mentions = []Spec{{Addr: r.addr()}}, true
			if r.rng.IntN(3) == 0 {
				opt.Specs = append(opt.Specs, Spec{Addr: r.addr()})
			}
		}
		for r.rng.IntN(2) == 0 {
			opt.MACs = append(opt.MACs, r.mac())
		}
		for r.rng.IntN(2) == 0 {
			opt.Types = append(opt.Types, []string{"spoof", "scan", "flood", "merge", "refused", "changed", "kind-7"}[r.rng.IntN(7)])
		}
		span := r.now.Unix() - start + 1
		at := func() time.Time { return time.Unix(start+r.rng.Int64N(span), r.rng.Int64N(2)*5e8) }
		if r.rng.IntN(3) == 0 {
			opt.Since = at()
		}
		if r.rng.IntN(3) == 0 {
			opt.Until = at()
		}
	}
	if r.rng.IntN(4) == 0 {
		opt.Max = 1 + r.rng.IntN(20)
	}
	return opt
}

// TestSearch: the index of the record answers as a walk over all commits does, on
// random histories, however it was brought up to date and whatever became of its
// file; and it is not asked in vain where it should know.
func TestSearch(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			retention := vcs.Retention{}
			if seed%3 == 1 {
				retention = vcs.Retention{MaxCommits: 120, Epochs: 3}
			}
			r := newRecorder(t, seed, retention)
			r.skew = seed%4 == 3
			path := filepath.Join(t.TempDir(), "arp-index")
			x := versioned.OpenRecordIndex(path)
			if seed%2 == 0 {
				x = r.fed
			}
			asked, told := 0, 0
			for round := range 10 {
				for range 5 + r.rng.IntN(40) {
					r.step()
				}
				if r.j.Head().IsZero() {
					continue
				}
				r.must(r.repo.Sync(t.Context()))
				_, err := r.s.Collect(t.Context())
				r.must(err)
				r.settle()
				r.must(x.Update(t.Context(), r.s, r.head().ID))
				if x.Head() != r.head().ID {
					t.Fatal("the index is at another head")
				}
				if all := r.ids(LogOptions{From: []vcs.ID{r.head().ID}}); x.Len() < len(all) || retention.MaxCommits == 0 && x.Len() != len(all) {
					t.Fatalf("%d commits in the index, %d in the log", x.Len(), len(all))
				}
				for range 20 {
					opt := r.query()
					want := r.ids(opt)
					opt.Index = x
					if got := r.ids(opt); !slices.Equal(got, want) {
						t.Fatalf("round %d, %+v:\n%q\nwant:\n%q", round, opt, got, want)
					}
					w := walker{s: r.s, commits: r.s.Joined(), opt: opt}
					w.opt.Mentions = opt.Mentions || len(opt.MACs)+len(opt.Types) > 0
					asked++
					if _, ok := w.search(); ok {
						told++
					}
				}
				if x == r.fed {
					r.must(x.Save())
					continue
				}
				switch r.rng.IntN(4) {
				case 0: // another run, of which the file knows little
					x = versioned.OpenRecordIndex(path)
				case 1, 2:
					r.must(x.Save())
					x = versioned.OpenRecordIndex(path)
					if x.Head() != r.head().ID {
						t.Fatal("what was saved is not in the file")
					}
				case 3:
					b, err := os.ReadFile(path)
					if err == nil && len(b) > 0 {
						if r.rng.IntN(2) == 0 {
							b = b[:r.rng.IntN(len(b))]
						} else {
							b[r.rng.IntN(len(b))] ^= 1 << r.rng.IntN(8)
						}
						r.must(os.WriteFile(path, b, 0o644))
					}
					x = versioned.OpenRecordIndex(path)
				}
			}
			if !r.skew && told*10 < asked*9 {
				t.Errorf("of %d questions the index answered %d", asked, told)
			}
		})
	}
}
