package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"arpeggio/stack/capture"
)

// checkSilentKernel reads the recording of the LAN: the guest's card sends our
// stack's ARP and IPv4 and not one frame of its kernel, which would begin with
// neighbour discovery and multicast groups before our stack has an address.
func checkSilentKernel(t *testing.T, pcap string) {
	t.Helper()
	need(t, "tcpdump")
	read := func(filter string) []string {
		t.Helper()
		out, err := exec.Command("tcpdump", "-nnr", pcap, filter).Output()
		if err != nil {
			t.Fatalf("tcpdump %q: %v", filter, err)
		}
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	const guest = "ether src 02:50:00:00:00:02"
	if all := read(guest); len(all) < 20 || !strings.Contains(all[0], "0.0.0.0.68 > 255.255.255.255.67") {
		t.Errorf("%d frames of the guest's card, the first is %q; want a DHCP request", len(all), all[0])
	}
	for _, foreign := range []string{"not arp and not ip", "ip6", "igmp", "vlan",
		"arp and not (arp[14:4] = 0x0a090002 or arp[14:4] = 0)", // another sender than 10.9.0.2 and RFC 5227's probe
		"ip and not (src host 10.9.0.2 or src host 0.0.0.0)"} {
		if found := read(guest + " and (" + foreign + ")"); found[0] != "" {
			t.Errorf("%d frames that are not our stack's (%s), such as %s", len(found), foreign, found[0])
		}
	}
}

// checkComments reads what the guest has told of the frames that were recorded
// outside of it: states of the connection that the page was got over, and commits,
// which are in the clone. What came too late the machine has counted aloud.
func checkComments(t *testing.T, p *process, pcap, clone string) {
	t.Helper()
	f, err := os.Open(pcap)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := capture.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	found := 0
	for {
		k, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%d %s %s\n", k.Direction, r.Interfaces()[k.Interface].Name, k.Comment)
		if m := regexp.MustCompile(`commit ([0-9a-f]{40})`).FindStringSubmatch(k.Comment); m != nil {
			if err := exec.Command("git", "-C", clone, "cat-file", "-e", m[1]+"^{commit}").Run(); err == nil {
				found++
			}
		}
	}
	if regexp.MustCompile(`lacks \d+ notes? of \d+ about states`).MatchString(p.stderr.String()) {
		return // a very slow machine
	}
	if found == 0 { // not even that of the gateway, over which the clone came
		t.Error("no commit of the clone stands beside a frame")
	}
	for _, want := range []string{
		`1 \S+ tcp 10\.9\.0\.\d+:80 10\.9\.0\.1:\d+; LISTEN → SYN-RECEIVED`,
		`1 \S+ tcp 10\.9\.0\.\d+:80 10\.9\.0\.1:\d+; SYN-RECEIVED → ESTABLISHED`,
		`2 guest tcp 10\.9\.0\.\d+:80 10\.9\.0\.1:\d+; .*→ (LAST-ACK|FIN-WAIT-1)`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(text.String()) {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Logf("\n%s", text.String())
	}
}
