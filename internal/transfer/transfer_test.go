package transfer

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/exchange"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func mac(n byte) ethernet.Addr { return ethernet.Addr{2, 0x50, 0, 0, 0, n} }

func row(ip string, n byte, at time.Duration, iface string) exchange.Row {
	return exchange.Row{Key: arp.Key{Addr: netip.MustParseAddr(ip)}, MAC: mac(n), Seen: start.Add(at), Interface: iface}
}

// newImport returns an import into an empty history.
func newImport(t *testing.T) *Import {
	t.Helper()
	store, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	j, err := versioned.OpenJournal(t.Context(), store, versioned.JournalConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return &Import{Journal: j, Seen: map[arp.Key][]versioned.SeenOwner{}, Aside: &Aside{}, Format: "test", Now: start.Add(time.Hour)}
}

func (im *Import) must(t *testing.T, want Imported, rows ...exchange.Row) {
	t.Helper()
	got, err := im.Run(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	if want.Rows = len(rows); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// The end of an owner's time is in the commit that moves the address.
func TestMoveClosesTheInterval(t *testing.T) {
	im := newImport(t)
	im.must(t, Imported{Commits: 2, Refreshed: 1},
		row("10.9.0.7", 11, 3*time.Minute, "eth0"), row("10.9.0.7", 7, 0, "eth0"), row("10.9.0.7", 7, 2*time.Minute, "eth0"))
	c, err := im.Journal.Repo().Store().ReadCommit(im.Journal.Head())
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		versioned.TrailerLastSeen: "2026-03-01T12:02:00Z", versioned.TrailerFrames: "2", versioned.TrailerOld: mac(7).String(), versioned.TrailerRule: "import test",
	} {
		if got := c.Trailer(k); got != want {
			t.Errorf("%s: %s, want %s", k, got, want)
		}
	}
	if !c.Time().Equal(start.Add(3 * time.Minute)) {
		t.Errorf("it is of %v", c.Time())
	}
	im.must(t, Imported{Known: 3},
		row("10.9.0.7", 11, 3*time.Minute, "eth0"), row("10.9.0.7", 7, 0, "eth0"), row("10.9.0.7", 7, 2*time.Minute, "eth0"))
}

// Two stations within one second are two changes, once.
func TestSameSecond(t *testing.T) {
	im := newImport(t)
	rows := []exchange.Row{row("10.9.0.7", 1, 0, ""), row("10.9.0.7", 2, 0, "")}
	im.must(t, Imported{Commits: 2}, rows...)
	im.must(t, Imported{Known: 2}, rows...)
	if e, _ := im.Journal.Get(arp.Key{Domain: arp.DefaultDomain, Addr: netip.MustParseAddr("10.9.0.7")}); e.MAC != mac(2) || e.Earlier[0] != mac(1) {
		t.Errorf("the entry is %+v", e)
	}
}

// Several interfaces are several domains, unless they are named.
func TestDomains(t *testing.T) {
	im := newImport(t)
	im.Domains = map[string]string{"eth1": "office"}
	im.must(t, Imported{Commits: 3}, row("10.9.0.7", 1, 0, "eth0"), row("10.9.0.7", 2, 1, "eth1"), row("10.9.0.7", 3, 2, ""))
	for domain, n := range map[string]byte{"eth0": 1, "office": 2, arp.DefaultDomain: 3} {
		if e, _ := im.Journal.Get(arp.Key{Domain: domain, Addr: netip.MustParseAddr("10.9.0.7")}); e.MAC != mac(n) {
			t.Errorf("%s: %v", domain, e.MAC)
		}
	}
}

// Of rows without a time about one address the last one counts; the time is now.
func TestUntimed(t *testing.T) {
	im := newImport(t)
	a, b := row("10.9.0.7", 1, 0, ""), row("10.9.0.7", 2, 0, "")
	a.Seen, b.Seen = time.Time{}, time.Time{}
	im.must(t, Imported{Commits: 1, Known: 1}, a, b)
	e, _ := im.Journal.Get(arp.Key{Domain: arp.DefaultDomain, Addr: a.Key.Addr})
	if e.MAC != mac(2) || e.FirstSeen != im.Now.Unix() {
		t.Errorf("the entry is %+v", e)
	}
	im.Now = im.Now.Add(time.Minute)
	if st, err := im.Run(t.Context(), []exchange.Row{a, b}); err != nil || st.Commits != 0 {
		t.Errorf("again: %+v, %v", st, err)
	}
}

func TestPins(t *testing.T) {
	im := newImport(t)
	pin := row("10.9.0.1", 1, 0, "")
	pin.State = exchange.Static
	im.must(t, Imported{Commits: 1}, row("10.9.0.1", 9, 0, ""))
	im.must(t, Imported{Commits: 1}, pin)
	im.must(t, Imported{Known: 1}, pin)
	im.must(t, Imported{Older: 1}, row("10.9.0.1", 9, time.Hour, ""))
	pin.MAC = mac(2)
	im.must(t, Imported{Commits: 1}, pin)
	if e, _ := im.Journal.Get(arp.Key{Domain: arp.DefaultDomain, Addr: pin.Key.Addr}); e.State != versioned.Static || e.MAC != mac(2) {
		t.Errorf("the entry is %+v", e)
	}
}

func TestRead(t *testing.T) {
	f, err := exchange.Lookup("arp.dat")
	if err != nil {
		t.Fatal(err)
	}
	file := "02:50:00:00:00:01\t10.9.0.1\t1\nbad\n02:50:00:00:00:02\t10.9.0.2\t1\nworse\n"
	var line *exchange.LineError
	if _, err := Read(f.Read(strings.NewReader(file)), nil); !errors.As(err, &line) || line.Line != 2 || !strings.Contains(err.Error(), "and 1 more") {
		t.Errorf("it says %v", err)
	}
	var skipped []int
	rows, err := Read(f.Read(strings.NewReader(file)), func(e *exchange.LineError) { skipped = append(skipped, e.Line) })
	if err != nil || len(rows) != 2 || fmt.Sprint(skipped) != "[2 4]" {
		t.Errorf("%d rows, skipped %v, %v", len(rows), skipped, err)
	}
}

// What is exported of a time holds nothing that came later.
func TestExportAt(t *testing.T) {
	k := arp.Key{Domain: arp.DefaultDomain, Addr: netip.MustParseAddr("10.9.0.7")}
	x := Export{
		Rows: []versioned.Row{{Key: k, Entry: versioned.Entry{State: versioned.Dynamic, MAC: mac(7), FirstSeen: start.Unix(), Interface: "eth0"}}},
		Seen: map[arp.Key][]versioned.SeenOwner{k: {
			{MAC: mac(11), First: start.Add(time.Hour), Last: start.Add(2 * time.Hour), Frames: 1},
			{MAC: mac(7), First: start.Add(time.Millisecond), Last: start.Add(50 * time.Minute), Frames: 9},
			{MAC: mac(5), First: start.Add(-time.Hour), Last: start.Add(-time.Minute), Frames: 9},
		}},
		At: start.Add(time.Minute), Former: true,
	}
	got := x.Table()
	if len(got) != 2 || got[0].MAC != mac(7) || !got[0].Seen.Equal(x.At) || !got[0].First.Equal(start.Add(time.Millisecond)) ||
		got[1].MAC != mac(5) || !got[1].Seen.Equal(start.Add(-time.Minute)) {
		t.Errorf("got %+v", got)
	}
	x.At = time.Time{}
	x.Former = false
	if got := x.Table(); len(got) != 1 || !got[0].Seen.Equal(start.Add(50*time.Minute)) {
		t.Errorf("the latest: %+v", got)
	}
	x.Seen = nil
	if got := x.Table(); len(got) != 1 || !got[0].Seen.Equal(start) {
		t.Errorf("without an index: %+v", got)
	}
}
