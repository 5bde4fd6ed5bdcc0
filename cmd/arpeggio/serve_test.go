package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// netns makes a network namespace for one test and returns the words that run a
// program in it.
func netns(t *testing.T) []string {
	t.Helper()
	need(t, "ip")
	name := fmt.Sprintf("arpeggio%d-%x", os.Getpid(), rand.Uint32())
	if out, err := command(t, "ip", "netns", "add", name); err != nil {
		t.Skipf("no network namespaces here (%s)", strings.TrimSpace(out))
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	must(t, "ip", "-n", name, "link", "set", "lo", "up")
	return []string{"ip", "netns", "exec", name}
}

// TestServe runs the same binary on a host's TAP, with the kernel's own stack and
// programs that know nothing of us at the other end.
func TestServe(t *testing.T) {
	need(t, "curl", "ping", "arping", "git", "nmap", "tcpdump")
	ns, bin, dir := netns(t), binary(t), t.TempDir()
	in := func(args ...string) string { t.Helper(); return must(t, append(ns, args...)...) }

	root := filepath.Join(dir, "www")
	os.Mkdir(root, 0o755)
	big := make([]byte, 64<<20)
	rand.NewChaCha8([32]byte{1}).Read(big)
	os.WriteFile(filepath.Join(root, "big"), big, 0o644)
	os.WriteFile(filepath.Join(root, "index.html"), []byte("<!doctype html>hello"), 0o644)
	const token = "0123456789abcdef"
	tokens := filepath.Join(dir, "tokens")
	os.WriteFile(tokens, []byte(token), 0o600)
	repo, pcap := filepath.Join(dir, "repo"), filepath.Join(dir, "t.pcapng")
	serve := append(ns, bin, "serve", "--tap", "tap0", "--host-ip", "10.9.0.1/24", "--ip", "10.9.0.2/24", "--probe", "never",
		"--mac", "02:50:00:00:00:02", "--root", root, "--manage", "8081", "--repo", repo, "--node", "bench", "--write-token", tokens)
	p := spawn(t, append(serve, "--pcap", pcap, "--sink", "/up")...)
	p.expect(`^  site +http://10.9.0.2/`)

	for range 3 { // ping waits -W only for a first answer, but an interval for the next ones
		if out := in("ping", "-c", "1", "-W", "60", "10.9.0.2"); !strings.Contains(out, " 0% packet loss") {
			t.Errorf("ping:\n%s", out)
		}
	}
	in("ping", "-c", "1", "-s", "65000", "-W", "60", "10.9.0.2") // 45 fragments each way
	if out := in("arping", "-C", "1", "-w", "60", "-i", "tap0", "10.9.0.2"); !strings.Contains(out, "02:50:00:00:00:02") {
		t.Errorf("arping:\n%s", out)
	}
	if out := in("ip", "neigh", "show", "dev", "tap0"); !strings.Contains(out, "10.9.0.2 lladdr 02:50:00:00:00:02") {
		t.Errorf("ip neigh:\n%s", out)
	}
	if out := in("curl", "-sS", "-m", "120", "http://10.9.0.2/"); out != "<!doctype html>hello" {
		t.Errorf("the page is %q", out)
	}
	in("curl", "-sS", "-m", "120", "-o", filepath.Join(dir, "got"), "http://10.9.0.2/big")
	if got, err := os.ReadFile(filepath.Join(dir, "got")); err != nil || !bytes.Equal(got, big) {
		t.Errorf("64 MiB down: %d octets, equal %v, %v", len(got), bytes.Equal(got, big), err)
	}
	if out := in("curl", "-sS", "-m", "120", "-o", "/dev/null", "-w", "%{http_code} %{size_upload}", "-H", "Expect:",
		"--data-binary", "@"+filepath.Join(root, "big"), "http://10.9.0.2/up"); out != "204 67108864" {
		t.Errorf("64 MiB up: %s", out)
	}
	scan := in("nmap", "-n", "-Pn", "--min-rtt-timeout", "10s", "--max-rtt-timeout", "20s", "--initial-rtt-timeout", "10s", "-p", "79-81", "10.9.0.2")
	for _, want := range []string{`79/tcp +closed`, `80/tcp +open`, `81/tcp +closed`} {
		if !regexp.MustCompile(want).MatchString(scan) {
			t.Errorf("nmap saw no %q:\n%s", want, scan)
		}
	}
	refused(t, "in use", append(serve[:len(ns):len(ns)], bin, "serve", "--tap", "tap0", "--ip", "10.9.0.3/24")...)

	// The kernel's end changes its card: a commit that says so.
	in("ip", "link", "set", "tap0", "address", "02:50:00:00:00:99")
	in("ip", "neigh", "flush", "dev", "tap0") // so that it asks, as after a reboot
	clone := filepath.Join(dir, "clone")
	for deadline := time.Now().Add(testLimit); ; time.Sleep(time.Second) {
		command(t, append(ns, "ping", "-c", "3", "-W", "5", "10.9.0.2")...) // answered at the old card, until it is known
		os.RemoveAll(clone)
		in("git", "clone", "-q", "http://10.9.0.2:8081/arp.git", clone)
		if log := must(t, "git", "-C", clone, "log", "--format=%an: %s"); strings.Contains(log, "bench: arp: 10.9.0.1 -> 02:50:00:00:00:99") {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the changed card is not in the history:\n%s", log)
		}
	}
	must(t, "git", "-C", clone, "fsck", "--strict")

	// An operator's pin, pushed, is an order to the running table; and so is its end.
	bare, url := filepath.Join(dir, "bare.git"), "http://me:"+token+"@10.9.0.2:8081/arp.git"
	for _, order := range [][]string{{"pin", "--repo", bare, "10.9.0.1", "02:50:00:00:00:99"}, {"unpin", "--repo", bare, "10.9.0.1"}} {
		pushed := false
		for deadline := time.Now().Add(testLimit); ; time.Sleep(100 * time.Millisecond) {
			if !pushed { // unless the table makes a commit just then
				os.RemoveAll(bare)
				in("git", "clone", "-q", "--bare", url, bare)
				must(t, append([]string{bin}, order...)...)
				_, err := command(t, append(ns, bin, "push", "--repo", bare, url, "primary")...)
				pushed = err == nil
			}
			out := in("curl", "-sS", "http://10.9.0.2:8081/api/neighbors")
			if pushed && strings.Contains(out, `"permanent"`) == (order[0] == "pin") {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("%s does not reach the live table: %s", order[0], out)
			}
		}
	}
	p.stop()
	if out := must(t, "tcpdump", "-nr", pcap, "arp"); !strings.Contains(out, "10.9.0.2 is-at 02:50:00:00:00:02") {
		t.Errorf("the recording holds no ARP reply of ours:\n%.2000s", out)
	}

	// The history goes on where it was, and nobody else may have it meanwhile.
	p = spawn(t, serve...)
	p.expect(`^  site`)
	refused(t, "in use", append(ns, bin, "serve", "--tap", "tap1", "--ip", "10.8.0.2/24", "--repo", repo)...)
	head := strings.TrimSpace(must(t, "git", "-C", clone, "rev-parse", "HEAD"))
	in("git", "-C", clone, "pull", "-q", "--ff-only")
	must(t, "git", "-C", clone, "merge-base", "--is-ancestor", head, "HEAD")
	p.stop()

	// Without its TAP it serves nobody: it ends by itself and says why.
	p = spawn(t, serve...)
	p.expect(`^  stop`)
	in("ip", "link", "delete", "tap0")
	select {
	case <-p.done:
		if out := p.stderr.String(); p.err == nil || !strings.Contains(out, "tap0 was removed") {
			t.Errorf("without its TAP: %v\n%s", p.err, out)
		}
	case <-time.After(testLimit):
		t.Error("it goes on without its TAP")
	}
}

// TestServeAddressTaken starts it with an address that the kernel's end has.
func TestServeAddressTaken(t *testing.T) {
	ns, bin := netns(t), binary(t)
	must(t, append(ns, "ip", "tuntap", "add", "tap0", "mode", "tap")...)
	must(t, append(ns, "ip", "link", "set", "tap0", "address", "02:50:00:00:00:77", "up")...)
	must(t, append(ns, "ip", "addr", "add", "10.9.0.2/24", "dev", "tap0")...)
	// At the RFC's pace, which leaves the kernel the time to find the card's carrier.
	refused(t, `(?s)asking for four to seven seconds whether another station has 10\.9\.0\.2 .*the address 10\.9\.0\.2 is taken: the station 02:50:00:00:00:77 answers for it on tap0.*hint: .*--ip`,
		append(ns, bin, "serve", "--tap", "tap0", "--ip", "10.9.0.2/24", "--probe", "standard")...)
}

// TestServeStoppedWhileItAsks: Ctrl-C before the address is in use is no failure. The
// bridge's spanning tree keeps the question from everybody, which it says.
func TestServeStoppedWhileItAsks(t *testing.T) {
	ns, bin := netns(t), binary(t)
	must(t, append(ns, "ip", "link", "add", "br0", "type", "bridge", "stp_state", "1")...)
	must(t, append(ns, "ip", "link", "set", "br0", "up")...)
	must(t, append(ns, "ip", "tuntap", "add", "tap0", "mode", "tap")...)
	must(t, append(ns, "ip", "link", "set", "tap0", "master", "br0", "up")...)
	p := spawn(t, append(ns, "sh", "-c", `exec "$0" "$@" 2>&1`, bin, "serve", "--tap", "tap0", "--ip", "10.9.0.2/24", "--probe", "standard")...)
	p.expect(`^arpeggio: asking for four to seven seconds`)
	p.expect(`^arpeggio: tap0 is a port of the bridge br0 that does not forward yet`)
	p.cmd.Process.Signal(os.Interrupt)
	<-p.done
	if out := p.stdout.String(); p.err != nil || strings.Contains(out, "context") || !strings.Contains(out, "stopped before") {
		t.Errorf("%v:\n%s", p.err, out)
	}
}

// TestServeOffload: what a test sees on the TAP are whole segments, unless it asks
// for the other.
func TestServeOffload(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		cmd  serveCmd
		want bool
	}{
		{serveCmd{}, true},
		{serveCmd{Offload: &no}, false},
		{serveCmd{Inetd: true}, false},
		{serveCmd{Inetd: true, Offload: &yes}, true},
		{serveCmd{Inetd: true, Offload: &no}, false},
	} {
		if got := c.cmd.offload(); got != c.want {
			t.Errorf("--inetd %t --offload %v: offload %t", c.cmd.Inetd, c.cmd.Offload, got)
		}
	}
}

// TestVMTAP boots the machine on a TAP of its own, whose other end is the kernel.
func TestVMTAP(t *testing.T) {
	need(t, "curl", "ping", "arping")
	ns := netns(t)
	bin, image := testImage(t)
	p := spawn(t, append(ns, bin, "vm", "run", "--image", image, "--net", "tap", "--tap", "vm0", "--http", "127.0.0.1:8080", "--manage", "127.0.0.1:8081")...)
	_, _, gitURL := urls(p)
	in := func(args ...string) string { t.Helper(); return must(t, append(ns, args...)...) }
	// The kernel gives a neighbour up after three seconds, which is little for a
	// machine under TCG on a busy host.
	in("ip", "ntable", "change", "name", "arp_cache", "dev", "vm0", "mcast_probes", "60", "ucast_probes", "60")
	if out := in("arping", "-C", "1", "-w", "60", "-i", "vm0", "10.9.0.2"); !strings.Contains(out, "02:50:00:00:00:02") {
		t.Errorf("arping:\n%s", out)
	}
	in("ping", "-c", "1", "-W", "60", "10.9.0.2")
	for _, url := range []string{"http://10.9.0.2/", "http://127.0.0.1:8080/"} {
		if out := in("curl", "-sS", "-m", "120", url); !strings.Contains(out, "arpeggio") {
			t.Errorf("%s: %q", url, out)
		}
	}
	clone := filepath.Join(t.TempDir(), "clone")
	in("git", "clone", "-q", gitURL, clone)
	if log := must(t, "git", "-C", clone, "log", "--oneline"); !strings.Contains(log, "10.9.0.1 -> ") {
		t.Errorf("history:\n%s", log)
	}
	p.stop()
	if out, err := command(t, append(ns, "ip", "link", "show", "vm0")...); err == nil {
		t.Errorf("the TAP is still there:\n%s", out)
	}
}
