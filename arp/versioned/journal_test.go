package versioned

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/mem"
)

var journalStart = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func openJournal(t testing.TB, b vcs.Backend, cfg JournalConfig) (*Journal, *vcs.Store) {
	t.Helper()
	s, err := vcs.OpenStore(context.Background(), b, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	j, err := OpenJournal(context.Background(), s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return j, s
}

// arpFrame is a request as a station sends it, without padding.
func arpFrame(from ethernet.Addr, ip string) []byte {
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: from, Type: ethernet.TypeARP}
	a := key(ip).Addr
	return arp.Packet{Op: arp.OpRequest, SenderMAC: from, SenderIP: a, TargetIP: key("10.9.0.1").Addr}.AppendTo(h.AppendTo(nil))
}

func mac(n int) ethernet.Addr { return ethernet.Addr{2, 0x50, 0, byte(n >> 16), byte(n >> 8), byte(n)} }

// sighted is the observation of a new or moved station.
func sighted(at time.Duration, ip string, who, old ethernet.Addr) *Observation {
	o := &Observation{Op: arp.OpLearned, Key: key(ip), MAC: who, Time: journalStart.Add(at), Interface: "va",
		Learned: "request", Events: []string{"new-station"}, Rule: "always", Frame: arpFrame(who, ip)}
	if !old.IsZero() {
		o.Op, o.Old, o.Events = arp.OpMoved, old, []string{"changed"}
		o.LastSeen, o.Frames = o.Time.Add(-1500*time.Millisecond), 17
	}
	return o
}

func write(t testing.TB, j *Journal, o *Observation) vcs.ID {
	t.Helper()
	id, err := j.Write(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func finish(t testing.TB, j *Journal, s *vcs.Store) {
	t.Helper()
	if err := errors.Join(j.Close(context.Background()), s.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestJournalCommit(t *testing.T) {
	j, s := openJournal(t, mem.New(), JournalConfig{Node: "probe"})
	write(t, j, sighted(0, "10.9.0.7", mac(1), ethernet.Addr{}))
	id := write(t, j, sighted(2*time.Second, "10.9.0.7", mac(2), mac(1)))
	c, err := s.ReadCommit(id)
	if err != nil {
		t.Fatal(err)
	}
	want := `arp: 10.9.0.7 -> 02:50:00:00:00:02 (was 02:50:00:00:00:01)

Arp-Cause: moved
Arp-Event: changed
Arp-Address: 10.9.0.7
Arp-MAC: 02:50:00:00:00:02
Arp-Old: 02:50:00:00:00:01
Arp-Last-Seen: 2026-03-01T12:00:00.623456789Z
Arp-Frames: 17
Arp-Rule: always
Arp-Kind: request
Arp-Frame: ` + fmt.Sprintf("%x", arpFrame(mac(2), "10.9.0.7")) + `
Arp-Node: probe
Arp-Interface: va
Arp-Time: 2026-03-01T12:00:02.123456789Z
`
	if c.Message != want {
		t.Errorf("message:\n%s\nwant:\n%s", c.Message, want)
	}
	if c.Author.Name != "probe" || c.Time().Unix() != journalStart.Unix()+2 {
		t.Errorf("by %v at %v", c.Author, c.Time())
	}
	e, ok := j.Get(key("10.9.0.7"))
	if !ok || e.MAC != mac(2) || e.Earlier[0] != mac(1) || e.FirstSeen != journalStart.Unix()+2 || e.Learned != "request" {
		t.Errorf("entry %+v, %v", e, ok)
	}
	snap, err := j.Repo().AtCommit(id)
	if err != nil {
		t.Fatal(err)
	}
	if stored, ok, err := snap.Get(key("10.9.0.7")); err != nil || !ok || stored != e {
		t.Errorf("stored %+v, %v, %v; live %+v", stored, ok, err, e)
	}
	if got := lines(t, export(t, "probe", s), "log", "--format=%s", "primary"); len(got) != 2 {
		t.Errorf("history: %q", got)
	}
	finish(t, j, s)
}

// What holds already is no commit, an event about it is one that changes no
// entry, and time does not run backwards.
func TestJournalSaysOnlyWhatIsNew(t *testing.T) {
	j, s := openJournal(t, mem.New(), JournalConfig{})
	first := write(t, j, sighted(0, "10.9.0.7", mac(1), ethernet.Addr{}))
	again := sighted(time.Second, "10.9.0.7", mac(1), ethernet.Addr{})
	again.Events = nil
	if id := write(t, j, again); !id.IsZero() || j.Head() != first {
		t.Errorf("a refresh made commit %v", id)
	}
	told := &Observation{Key: key("10.9.0.7"), MAC: mac(1), Time: journalStart.Add(-time.Hour), Events: []string{"bogon"}, Subject: "arp: bogon"}
	id := write(t, j, told)
	a, _ := s.ReadCommit(first)
	b, err := s.ReadCommit(id)
	if err != nil || a.Tree != b.Tree || b.Time() != a.Time() || b.Trailer(TrailerCause) != "observed" {
		t.Errorf("told: %v, %v; want the tree and the time of %v", b, err, a)
	}
	if st := j.Stats(); st.Commits != 2 || st.Unchanged != 1 || st.Entries != 1 {
		t.Errorf("%+v", st)
	}
	finish(t, j, s)
}

// sightings is a run of observations of every sort.
func sightings() (list []*Observation) {
	for i := range 40 {
		list = append(list, sighted(time.Duration(i)*100*time.Millisecond, fmt.Sprintf("10.9.0.%d", i), mac(i), ethernet.Addr{}))
	}
	for i := range 600 { // 200 a second
		o := sighted(10*time.Second+time.Duration(i)*5*time.Millisecond, fmt.Sprintf("10.9.%d.%d", i/250+1, i%250), mac(1000+i), ethernet.Addr{})
		o.Folded = true
		list = append(list, o)
		if i == 300 {
			list = append(list, sighted(11500*time.Millisecond, "10.9.0.3", mac(77), mac(3)))
			o := sighted(11500*time.Millisecond, "10.9.0.4", mac(78), mac(4))
			o.Folded = true
			list = append(list, o)
		}
	}
	list = append(list, &Observation{Op: arp.OpExpired, Key: key("10.9.0.9"), Old: mac(9), Time: journalStart.Add(time.Minute), Events: []string{"expired"}})
	list = append(list, sighted(2*time.Minute, "10.9.0.9", mac(9), ethernet.Addr{}))
	return list
}

// A flood is one commit a second, which holds everything.
func TestJournalFolds(t *testing.T) {
	j, s := openJournal(t, mem.New(), JournalConfig{})
	for _, o := range sightings() {
		write(t, j, o)
	}
	if n, want := j.Stats().Commits, uint64(40+4+1+2); n != want {
		t.Errorf("%d commits, want %d", n, want)
	}
	dir := export(t, "observer", s)
	got := lines(t, dir, "log", "--reverse", "--format=%s", "--grep=flood", "primary")
	want := []string{"arp: flood: 176 new stations", "arp: flood: 200 new stations, 1 move", "arp: flood: 200 new stations", "arp: flood: 24 new stations"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("summaries:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	wantLine(t, lines(t, dir, "log", "--format=%B", "--grep=flood", "primary"),
		"Arp-Left: 10.9.0.4 02:50:00:00:00:04 2026-03-01T12:00:10.123456789Z 17")
	wantLine(t, lines(t, dir, "log", "--format=%s", "primary", "--", "*/10.9.2.77"), "flood")
	if e, ok := j.Get(key("10.9.3.99")); !ok || e.MAC != mac(1599) {
		t.Errorf("entry %+v, %v", e, ok)
	}
	sameAsStore(t, j)
	finish(t, j, s)
}

// sameAsStore compares what is live with the head.
func sameAsStore(t *testing.T, j *Journal) {
	t.Helper()
	snap, err := j.Repo().AtCommit(j.Head())
	if err != nil {
		t.Fatal(err)
	}
	stored, err := snap.Map()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for k, e := range j.All() {
		if n++; stored[k] != e {
			t.Fatalf("%v: live %+v, stored %+v", k, e, stored[k])
		}
	}
	if n != len(stored) {
		t.Errorf("%d live, %d stored", n, len(stored))
	}
}

// Wherever a journal is closed and opened again, the commits are the same.
func TestJournalResumes(t *testing.T) {
	run := func(b vcs.Backend, stop func(i int) bool) vcs.ID {
		j, s := openJournal(t, b, JournalConfig{})
		for i, o := range sightings() {
			if _, folding := j.Pending(); stop(i) && !folding {
				finish(t, j, s)
				j, s = openJournal(t, b, JournalConfig{})
				sameAsStore(t, j)
			}
			write(t, j, o)
		}
		if err := j.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return j.Head()
	}
	want := run(mem.New(), func(int) bool { return false })
	if got := run(mem.New(), func(i int) bool { return i%7 == 3 }); got != want {
		t.Errorf("with restarts %v, without %v", got, want)
	}
	if got := run(mem.NewNative(), func(i int) bool { return i == 20 }); got != want {
		t.Errorf("on a backend of objects %v, want %v", got, want)
	}
	b, err := badger.Open(t.Context(), t.TempDir(), badger.Config{MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	if got := run(b, func(int) bool { return false }); got != want {
		t.Errorf("on badger %v, want %v", got, want)
	}
}

// Somebody else moves the branch between two writes, and while a second folds:
// both sides' work stays, and a pin holds.
func TestJournalTakesOver(t *testing.T) {
	j, s := openJournal(t, mem.New(), JournalConfig{})
	write(t, j, sighted(0, "10.9.0.1", mac(1), ethernet.Addr{}))
	folded := sighted(time.Second, "10.9.0.2", mac(2), ethernet.Addr{})
	folded.Folded = true
	write(t, j, folded)
	repo := j.Repo()
	pin := Entry{State: Static, MAC: mac(1), FirstSeen: 5, Learned: "operator", Node: "me", Clock: journalStart.UnixMilli() + 10}
	other := Entry{State: Dynamic, MAC: mac(9), FirstSeen: 6, Learned: "reply", Node: "me", Clock: journalStart.UnixMilli() + 90_000}
	if _, err := repo.Update(t.Context(), Primary, vcs.TxOptions{}, func(tx *vcs.Tx[arp.Key, Entry]) error {
		tx.Set(key("10.9.0.1"), pin)
		tx.Set(key("10.9.0.2"), other)
		tx.Set(key("10.9.0.3"), other)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	write(t, j, sighted(2*time.Second, "10.9.0.4", mac(4), ethernet.Addr{}))
	if e, _ := j.Get(key("10.9.0.2")); e.MAC != mac(9) && e.MAC != mac(2) {
		t.Errorf("10.9.0.2: %+v", e)
	}
	if e, _ := j.Get(key("10.9.0.3")); e != other {
		t.Errorf("10.9.0.3: %+v", e)
	}
	write(t, j, sighted(3*time.Second, "10.9.0.1", mac(66), mac(1)))
	if e, _ := j.Get(key("10.9.0.1")); e != pin {
		t.Errorf("the pin became %+v", e)
	}
	write(t, j, sighted(4*time.Second, "10.9.0.3", mac(3), mac(9)))
	if e, _ := j.Get(key("10.9.0.3")); e.MAC != mac(3) || e.Clock <= other.Clock {
		t.Errorf("10.9.0.3: %+v", e)
	}
	if st := j.Stats(); st.Foreign != 1 {
		t.Errorf("%+v", st)
	}
	sameAsStore(t, j)
	export(t, "observer", s)
	finish(t, j, s)
}

// Epochs begin under a journal, and it goes on at their roots.
func TestJournalOverEpochs(t *testing.T) {
	b := mem.New()
	s, err := vcs.OpenStore(t.Context(), b, vcs.StoreConfig{Retention: vcs.Retention{MaxCommits: 200, Epochs: 2}})
	if err != nil {
		t.Fatal(err)
	}
	j, err := OpenJournal(t.Context(), s, JournalConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		write(t, j, sighted(time.Duration(i)*time.Second, fmt.Sprintf("10.9.%d.%d", i/250, i%250), mac(i), ethernet.Addr{}))
		if i%100 == 99 {
			if _, err := s.Collect(t.Context()); err != nil { // the store's own keeper may be late
				t.Fatal(err)
			}
		}
	}
	if n := len(s.Epochs()); n < 3 {
		t.Errorf("%d epochs", n)
	}
	if st := j.Stats(); st.Commits != 1000 || st.Entries != 1000 || st.Foreign != 0 {
		t.Errorf("%+v", st)
	}
	sameAsStore(t, j)
	finish(t, j, s)
}

// A file that is no entry is counted, and overwritten when its address is seen.
func TestJournalDamagedEntry(t *testing.T) {
	b := mem.New()
	s, err := vcs.OpenStore(t.Context(), b, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := vcs.New(s, vcs.Config[string, string]{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Set(t.Context(), Primary, Layout{}.Path(key("10.9.0.1")), "nonsense\n", vcs.CommitInfo{Message: "x"}); err != nil {
		t.Fatal(err)
	}
	j, err := OpenJournal(t.Context(), s, JournalConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if st := j.Stats(); st.Damaged != 1 || st.Entries != 0 {
		t.Errorf("%+v", st)
	}
	write(t, j, sighted(0, "10.9.0.1", mac(1), ethernet.Addr{}))
	sameAsStore(t, j)
	finish(t, j, s)
}

func BenchmarkJournalWrite(b *testing.B) {
	j, s := openJournal(b, mem.New(), JournalConfig{})
	defer s.Close()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		o := sighted(time.Duration(i)*time.Second, fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255), mac(i), ethernet.Addr{})
		write(b, j, o)
		i++
	}
}

// A pin replaces what was there, another pin included; a claim does not.
func TestJournalPins(t *testing.T) {
	j, s := openJournal(t, mem.New(), JournalConfig{})
	k := arp.Key{Domain: arp.DefaultDomain, Addr: netip.MustParseAddr("10.9.0.1")}
	write := func(op arp.ChangeOp, n byte, want byte, state State) {
		t.Helper()
		o := Observation{Op: op, Key: k, MAC: ethernet.Addr{2, 0, 0, 0, 0, n}, Time: time.Unix(1_772_366_400, 0), Learned: "operator"}
		if _, err := j.Write(t.Context(), &o); err != nil {
			t.Fatal(err)
		}
		if e, _ := j.Get(k); e.MAC[5] != want || e.State != state {
			t.Errorf("%v of %d: %v %v", op, n, e.State, e.MAC)
		}
	}
	write(arp.OpLearned, 9, 9, Dynamic)
	write(arp.OpPinned, 1, 1, Static)
	write(arp.OpMoved, 9, 1, Static)
	write(arp.OpPinned, 2, 2, Static)
	c, err := s.ReadCommit(j.Head())
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject() != "arp: 10.9.0.1 pinned to 02:00:00:00:00:02" || c.Trailer(TrailerCause) != "pinned" {
		t.Errorf("the commit says %q", c.Message)
	}
}
