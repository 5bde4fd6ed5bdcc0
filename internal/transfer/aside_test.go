package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/exchange"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
)

// What a kernel said about a station is exported until the station was seen by
// somebody else; its name stays. It is the same from the file.
func TestAsideUntilSeenAgain(t *testing.T) {
	im := newImport(t)
	im.Format = "neigh"
	r := row("10.9.0.7", 7, 0, "eth0")
	r.Seen, r.Host, r.Kernel = time.Time{}, "printer", &exchange.Neighbor{States: []string{"REACHABLE"}, Router: true}
	im.must(t, Imported{Commits: 1}, r)
	path := filepath.Join(t.TempDir(), "aside")
	if err := im.Aside.Save(path); err != nil {
		t.Fatal(err)
	}
	aside, err := LoadAside(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	k := arp.Key{Domain: arp.DefaultDomain, Addr: r.Key.Addr}
	e, _ := im.Journal.Get(k)
	x := Export{Rows: []versioned.Row{{Key: k, Entry: e}}, Seen: im.Seen, Aside: aside, Format: "neigh"}
	if got := x.Table(); len(got) != 1 || got[0].Kernel == nil || !got[0].Kernel.Router || got[0].Kernel.States[0] != "REACHABLE" || got[0].Host != "printer" || !got[0].Seen.IsZero() {
		t.Errorf("at once: %+v", got)
	}
	x.Format = "csv"
	if got := x.Table(); !got[0].Seen.Equal(im.Now) {
		t.Errorf("in another format: %+v", got)
	}
	x.At = im.Now.Add(time.Second)
	if got := x.Table(); got[0].Kernel != nil || got[0].Host != "printer" {
		t.Errorf("of a time: %+v", got)
	}
	x.At = time.Time{}
	x.Seen[k][0].Last = im.Now.Add(time.Minute)
	if got := x.Table(); got[0].Kernel != nil || got[0].Host != "printer" || !got[0].Seen.Equal(im.Now.Add(time.Minute)) {
		t.Errorf("seen since: %+v", got)
	}
}

// Names without an address are of /etc/ethers only, each once, the last of its
// name.
func TestNamesWithoutAddress(t *testing.T) {
	im := newImport(t)
	im.Format = "ethers"
	named := func(host string, n byte) exchange.Row {
		return exchange.Row{MAC: mac(n), Host: host, State: exchange.Static}
	}
	im.must(t, Imported{Nameless: 3}, named("a", 1), named("b", 2), named("a", 3))
	x := Export{Aside: im.Aside, Format: "ethers"}
	var got []ethernet.Addr
	for _, r := range x.Table() {
		got = append(got, r.MAC)
	}
	if !slices.Equal(got, []ethernet.Addr{mac(3), mac(2)}) {
		t.Errorf("exported %v", got)
	}
	x.Format = "csv"
	if n := len(x.Table()); n != 0 {
		t.Errorf("%d rows in a format of addresses", n)
	}
}

// An empty one has no file; of a damaged one the rest counts.
func TestAsideFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aside")
	x := &Aside{}
	r := row("10.9.0.7", 7, 0, "eth0")
	for _, domain := range []string{"", "lan", "office/2", "vlan-7"} {
		k := r.Key
		k.Domain, k.VLAN.Inner = domain, 5
		x.note("csv", &r, k, start)
	}
	if err := x.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := LoadAside(path, 10)
	if err != nil || len(got.pairs) != 3 { // "" is lan
		t.Errorf("%d pairs, %v", len(got.pairs), err)
	}
	k := arp.Key{Domain: "office/2", VLAN: ethernet.VLAN{Inner: 5}, Addr: r.Key.Addr}
	if _, ok := got.pairs[pair{k, r.MAC}]; !ok {
		t.Errorf("there are %+v", got.pairs)
	}
	if got, err := LoadAside(path, 3); err != nil || len(got.pairs) != 2 {
		t.Errorf("of three lines: %d pairs, %v", len(got.pairs), err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("{\"key\":\"nonsense\"}\n")
	f.Close()
	if got, err := LoadAside(path, 10); err == nil || !strings.Contains(err.Error(), "line 5") || len(got.pairs) != 3 {
		t.Errorf("damaged: %d pairs, %v", len(got.pairs), err)
	}
	if err := (&Aside{}).Save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty one is there: %v", err)
	}
	if err := (&Aside{}).Save(path); err != nil {
		t.Error(err)
	}
}
