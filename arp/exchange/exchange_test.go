package exchange_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"arpeggio/arp/exchange"
	"arpeggio/stack/ethernet"
)

// read collects the rows and the bad lines of a text.
func read(t testing.TB, format, text string) (rows []exchange.Row, bad []string) {
	t.Helper()
	f, err := exchange.Lookup(format)
	if err != nil {
		t.Fatal(err)
	}
	for row, err := range f.Read(strings.NewReader(text)) {
		if err != nil {
			bad = append(bad, err.Error())
			continue
		}
		rows = append(rows, row)
	}
	return rows, bad
}

func write(t testing.TB, format string, rows iter.Seq[exchange.Row]) (text string, left int) {
	t.Helper()
	f, err := exchange.Lookup(format)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if left, err = f.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	return b.String(), left
}

// Files in the form in which the tools themselves write them; neigh is what
// iproute2 6.1.0 printed, with and without -s.
var files = map[string][]string{
	"neigh": {
		`[{"dst":"10.9.0.8","dev":"d0","lladdr":"02:00:00:00:00:08","state":["STALE"]},{"dst":"10.9.0.7","dev":"d0","lladdr":"02:00:00:00:00:07","state":["PERMANENT"]}]` + "\n",
		`[{"dst":"10.9.0.8","dev":"d0","lladdr":"02:00:00:00:00:08","used":0,"confirmed":60,"updated":0,"probes":0,"state":["STALE"]}]` + "\n",
		`[{"dst":"10.9.0.8","dev":"d0","lladdr":"02:00:00:00:00:08","refcnt":1,"used":7,"confirmed":2,"updated":7,"probes":1,"state":["REACHABLE"]}]` + "\n",
		`[{"dst":"fe80::1","dev":"d0","lladdr":"02:00:00:00:00:01","router":null,"state":["REACHABLE"]}]` + "\n",
		`[{"dst":"10.9.0.8","lladdr":"02:00:00:00:00:08","state":["STALE"]}]` + "\n", // ip -j neigh show dev d0
		"[]\n",
	},
	"arp.dat": {
		"02:00:00:00:00:07\t10.9.0.7\t1795177010\thost7\teth0\n02:00:00:00:00:08\t10.9.0.8\t1795177011\t\teth0\n" +
			"02:00:00:00:00:0b\t10.9.0.7\t1795170000\thost7\teth0\n",
		"",
	},
	"ethers": {"02:00:00:00:00:07 10.9.0.7\n02:00:00:00:00:08 printer\n"},
	"csv": {
		"address,mac,domain,vlan,state,first_seen,last_seen,interface,host,vendor\n" +
			"10.9.0.7,02:00:00:00:00:07,lan,,dynamic,2026-11-21T12:00:00Z,2026-11-21T12:03:00.25Z,eth0,host7,\"Dell, Inc.\"\n" +
			"fe80::1,02:00:00:00:00:08,lan,100.5,static,,,,,\n",
	},
}

// TestRoundTrip: what a tool wrote comes back byte for byte.
func TestRoundTrip(t *testing.T) {
	for format, texts := range files {
		for i, text := range texts {
			rows, bad := read(t, format, text)
			if len(bad) > 0 {
				t.Errorf("%s %d: %v", format, i, bad)
			}
			if got, left := write(t, format, slices.Values(rows)); got != text || left != 0 {
				t.Errorf("%s %d: %d left out\ngot  %q\nwant %q", format, i, left, got, text)
			}
		}
	}
}

// TestRead: what a field means, and forms that the tools do not write any more.
func TestRead(t *testing.T) {
	rows, bad := read(t, "addrwatch", "1795177010 va 100 02:00:00:00:00:07 10.9.0.7 ARP_REQ\n"+
		"1795177011 va 0 02:00:00:00:00:07 10.9.0.9 ARP_ACD\n"+
		"1795177012 va 0 02:00:00:00:00:08 fe80::8 ND_NA\n")
	if len(bad) > 0 || len(rows) != 2 {
		t.Fatalf("%v %v", rows, bad)
	}
	r := rows[0]
	if r.Seen.Unix() != 1795177010 || r.Interface != "va" || r.Key.VLAN != (ethernet.VLAN{Inner: 100}) ||
		r.MAC != ethernet.MustParseAddr("02:00:00:00:00:07") || r.Key.Addr.String() != "10.9.0.7" || r.Kind != "ARP_REQ" {
		t.Errorf("%+v", r)
	}
	if rows[1].Key.Addr.String() != "fe80::8" {
		t.Errorf("%+v", rows[1])
	}
	rows, bad = read(t, "arp.dat", "# comment\n\n2:0:a:0:0:b\t10.9.0.7\t0\n")
	if len(bad) > 0 || len(rows) != 1 || rows[0].MAC.String() != "02:00:0a:00:00:0b" || !rows[0].Seen.IsZero() {
		t.Errorf("%v %v", rows, bad)
	}
	rows, bad = read(t, "neigh", `[{"dst":"10.9.0.77","dev":"d0","state":["INCOMPLETE"]}] [ ]`)
	if len(rows)+len(bad) != 0 {
		t.Errorf("what has no MAC is no binding: %v %v", rows, bad)
	}
	rows, bad = read(t, "csv", "mac,color,address\n02:00:00:00:00:07,red,10.9.0.7\n")
	if len(bad) > 0 || len(rows) != 1 || rows[0].Key.Addr.String() != "10.9.0.7" {
		t.Errorf("%v %v", rows, bad)
	}
}

// TestBad: a bad line is named, and the rest is read.
func TestBad(t *testing.T) {
	for _, c := range []struct{ format, text, want string }{
		{"arp.dat", "02:00:00:00:00:07\t10.9.0.7\n", "line 1: wrong number of fields"},
		{"arp.dat", "\n02:00:00:00:07\t10.9.0.7\t1\n", "line 2: not an Ethernet address"},
		{"arp.dat", "ff:ff:ff:ff:ff:ff\t10.9.0.7\t1\n", "line 1: not an Ethernet address of a station"},
		{"arp.dat", "02:00:00:00:00:07\t10.9.0\t1\n", "line 1: not an IP address"},
		{"arp.dat", "02:00:00:00:00:07\t10.9.0.7\t-1\n", "line 1: not a time"},
		{"arp.dat", "02:00:00:00:00:07\t10.9.0.7\t99999999999999\n", "line 1: not a time"},
		{"arp.dat", strings.Repeat("x", 1<<17), "longer than"},
		{"addrwatch", "1795177010 va 4095 02:00:00:00:00:07 10.9.0.7 ARP_REQ\n", "not a VLAN"},
		{"addrwatch", "1795177010 va 1 02:00:00:00:00:07 10.9.0.7 ARP_XXX\n", "not a kind"},
		{"ethers", "02:00:00:00:00:07\n", "wrong number of fields"},
		{"neigh", `{"dst":"10.9.0.7"}`, "want what ip -j neigh prints"},
		{"neigh", `[{"dst":"10.9.0.7","lladdr":"x","state":[]}`, "element 1: not an Ethernet address"},
		{"neigh", `[1]`, "element 1: not an object"},
		{"neigh", `[{"dst"`, "not in this format"},
		{"csv", "", "no heading"},
		{"csv", "a,b\n", "has no address and mac"},
		{"csv", "address,mac\n10.9.0.7\n", "line 2: wrong number of fields"},
		{"csv", "address,mac,state\n10.9.0.7,02:00:00:00:00:07,odd\n", "line 2: not a state"},
		{"csv", "address,mac,last_seen\n10.9.0.7,02:00:00:00:00:07,noon\n", "RFC 3339"},
	} {
		rows, bad := read(t, c.format, c.text)
		if len(bad) == 0 || !strings.Contains(bad[0], c.want) {
			t.Errorf("%s %.40q: %q, want %q", c.format, c.text, bad, c.want)
		}
		if len(rows) > 0 {
			t.Errorf("%s %.40q: rows %v", c.format, c.text, rows)
		}
	}
	rows, bad := read(t, "arp.dat", "bad\n02:00:00:00:00:07\t10.9.0.7\t1\n")
	if len(rows) != 1 || len(bad) != 1 {
		t.Errorf("after a bad line: %v %v", rows, bad)
	}
	if _, err := exchange.Lookup("arpdat"); err == nil || !strings.Contains(err.Error(), "arp.dat") {
		t.Errorf("%v does not say what there is", err)
	}
}

// TestLeftOut: what a format cannot hold is counted.
func TestLeftOut(t *testing.T) {
	rows, _ := read(t, "csv", files["csv"][0])
	for format, want := range map[string]int{"arp.dat": 1, "ethers": 1, "neigh": 1, "csv": 0} {
		if _, left := write(t, format, slices.Values(rows)); left != want {
			t.Errorf("%s: %d left out, want %d", format, left, want)
		}
	}
}

// TestKernel: what the kernel prints in a namespace of its own comes back as it
// was, and what is written for it is what it takes.
func TestKernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	ns := fmt.Sprintf("exch%d", os.Getpid())
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run("netns", "add", ns)
	defer exec.Command("ip", "netns", "del", ns).Run()
	run("-n", ns, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
	run("-n", ns, "link", "set", "v0", "up")
	run("-n", ns, "neigh", "add", "10.9.0.7", "lladdr", "02:00:00:00:00:07", "dev", "v0")
	run("-n", ns, "neigh", "add", "10.9.0.8", "lladdr", "02:00:00:00:00:08", "nud", "stale", "dev", "v0")
	run("-n", ns, "neigh", "add", "fe80::9", "lladdr", "02:00:00:00:00:09", "nud", "stale", "router", "dev", "v0")
	for _, opt := range []string{"-j", "-js"} {
		text := run("-n", ns, opt, "neigh")
		rows, bad := read(t, "neigh", text)
		if len(rows) != 3 || len(bad) > 0 {
			t.Fatalf("%s: %d rows, %v", text, len(rows), bad)
		}
		if got, _ := write(t, "neigh", slices.Values(rows)); got != text {
			t.Errorf("ip %s neigh:\ngot  %s\nwant %s", opt, got, text)
		}
	}
}

// FuzzRead: no input makes a reader panic, and what is read and written reads
// as the same again.
func FuzzRead(f *testing.F) {
	for format, texts := range files {
		for _, text := range texts {
			f.Add(format, text)
		}
	}
	f.Add("addrwatch", "1795177010 va 100 02:00:00:00:00:07 10.9.0.7 ARP_REQ\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		format, err := exchange.Lookup(name)
		if err != nil {
			t.Skip()
		}
		var rows []exchange.Row
		for row, err := range format.Read(strings.NewReader(text)) {
			var line *exchange.LineError
			switch {
			case err == nil:
				rows = append(rows, row)
			case !errors.As(err, &line) && !errors.Is(err, exchange.ErrFormat):
				t.Fatalf("an error of no kind: %v", err)
			}
		}
		if format.Write == nil {
			return
		}
		once, _ := write(t, name, slices.Values(rows))
		again, bad := read(t, name, once)
		if twice, _ := write(t, name, slices.Values(again)); twice != once || len(bad) > 0 {
			t.Errorf("%s\nonce  %q\ntwice %q\n%v", name, once, twice, bad)
		}
	})
}

func ExampleLookup() {
	dat, _ := exchange.Lookup("arp.dat")
	neigh, _ := exchange.Lookup("neigh")
	in := strings.NewReader("02:00:00:00:00:07\t10.9.0.7\t1795177010\thost7\teth0\n")
	var rows []exchange.Row
	for row, err := range dat.Read(in) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		rows = append(rows, row)
	}
	neigh.Write(os.Stdout, slices.Values(rows))
	// Output:
	// [{"dst":"10.9.0.7","dev":"eth0","lladdr":"02:00:00:00:00:07","state":["STALE"]}]
}

func ExampleFormats() {
	for _, f := range exchange.Formats() {
		if f.Write == nil {
			fmt.Println(f.Name, "is read only:", f.Meaning)
		}
	}
	// Output:
	// addrwatch is read only: addrwatch's text output, a sighting a line
}
