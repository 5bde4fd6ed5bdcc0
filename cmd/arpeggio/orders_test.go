package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// liveTable is a running serve in a network namespace, and commands to it.
type liveTable struct {
	t          *testing.T
	ns         []string
	bin, dir   string
	url, token string // of the history, and the file that opens it
	store      string
}

// newLiveTable starts one at 10.9.0.2, with the kernel's end of the wire at
// 10.9.0.1.
func newLiveTable(t *testing.T) *liveTable {
	need(t, "curl", "arping", "git")
	l := &liveTable{t: t, ns: netns(t), bin: binary(t), dir: t.TempDir(), url: "http://operator@10.9.0.2:8081/arp.git"}
	l.token, l.store = filepath.Join(l.dir, "token"), filepath.Join(l.dir, "store")
	if err := os.WriteFile(l.token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, append(l.ns, l.bin, "serve", "--tap", "tap0", "--host-ip", "10.9.0.1/24", "--ip", "10.9.0.2/24", "--probe", "never", "--node", "bench",
		"--manage", "8081", "--repo", l.store, "--write-token", l.token)...)
	p.expect(`^  stop`)
	t.Cleanup(func() { p.stop() })
	return l
}

// arpeggio runs a command in the namespace, with the mirrors of this test.
func (l *liveTable) arpeggio(args ...string) string {
	l.t.Helper()
	out, err := l.try(args...)
	if err != nil {
		l.t.Fatalf("arpeggio %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (l *liveTable) try(args ...string) (string, error) {
	l.t.Helper()
	return command(l.t, append(append(l.ns, "env", "XDG_CACHE_HOME="+filepath.Join(l.dir, "cache"), l.bin), args...)...)
}

// says lets a station ask for the appliance, as the one that has an address.
func (l *liveTable) says(addr, mac string) {
	l.t.Helper()
	// Nobody hears the answer, so arping fails.
	command(l.t, append(l.ns, "arping", "-q", "-c", "1", "-w", "0.1", "-i", "tap0", "-S", addr, "-s", mac, "10.9.0.2")...)
}

// neighbor is one line of the live table.
type neighbor struct{ Addr, MAC, State string }

// wait waits until the live table has an address at a MAC address, in one of some
// states, and none where that is empty.
func (l *liveTable) wait(addr, mac string, states ...string) {
	l.t.Helper()
	var last string
	for deadline := time.Now().Add(testLimit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		last = must(l.t, append(l.ns, "curl", "-sS", "-m", "10", "http://10.9.0.2:8081/api/neighbors")...)
		var list []neighbor
		if err := json.Unmarshal([]byte(last), &list); err != nil {
			l.t.Fatalf("%v in %s", err, last)
		}
		found := neighbor{}
		for _, n := range list {
			if n.Addr == addr {
				found = n
			}
		}
		if found.MAC == mac && (len(states) == 0 || strings.Contains(strings.Join(states, " "), found.State)) {
			return
		}
	}
	l.t.Fatalf("the live table never had %s at %q (%s): %s", addr, mac, strings.Join(states, " or "), last)
}

// commit returns the newest commit about an address whose subject has some words.
func (l *liveTable) commit(repo, addr, words string) string {
	l.t.Helper()
	out := l.arpeggio("log", "--repo", repo, "--json", addr)
	for line := range strings.Lines(out) {
		var c struct{ Commit, Subject string }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			l.t.Fatal(err, line)
		}
		if strings.Contains(c.Subject, words) {
			return c.Commit
		}
	}
	l.t.Fatalf("no commit %q about %s:\n%s", words, addr, out)
	return ""
}

const first, second = "02:50:00:00:05:01", "02:50:00:00:05:02"

// moved lets an address be taken from a station that is silent, and returns the
// commit.
func (l *liveTable) moved(addr string) string {
	l.t.Helper()
	l.says(addr, first)
	l.wait(addr, first)
	deadline := time.Now().Add(testLimit)
	for { // the old owner is asked first, and the claim must be made again
		l.says(addr, second)
		if out, _ := l.try("table", "--repo", l.store); strings.Contains(out, addr+" ") && strings.Contains(out, second) {
			break
		}
		if time.Now().After(deadline) {
			l.t.Fatal("the address does not move")
		}
	}
	l.wait(addr, second)
	return l.commit(l.store, addr, addr+" -> "+second+" (was "+first+")")
}

// TestOrders gives a running table the orders of an operator, as commands: on a
// copy that is pushed, on the URL, and on the store itself.
func TestOrders(t *testing.T) {
	l := newLiveTable(t)
	auth := []string{"--password-file", l.token}
	with := func(args ...string) []string { return append(args, auth...) }
	const addr = "10.9.0.5"
	move := l.moved(addr)

	// A copy: reverted there, the live table changes when that is pushed.
	copied := filepath.Join(l.dir, "copy.git")
	l.arpeggio("clone", l.url, copied)
	l.arpeggio("revert", "--repo", copied, move)
	l.wait(addr, second)
	l.arpeggio(with("push", "--repo", copied, l.url, "primary")...)
	l.wait(addr, first, "stale", "delay", "probe", "reachable")

	// Merged there: a branch on which the revert is reverted.
	l.arpeggio("pull", "--repo", copied, l.url, "primary")
	undo := l.commit(copied, addr, "Revert ")
	l.arpeggio("branch", "--repo", copied, "what-if")
	l.arpeggio("revert", "--repo", copied, "--on", "what-if", undo)
	l.arpeggio("merge", "--repo", copied, "--no-ff", "what-if")
	l.arpeggio(with("push", "--repo", copied, l.url, "primary", "what-if")...)
	l.wait(addr, second)

	// What the table learned meanwhile is not overwritten, and the remedy named.
	l.arpeggio("pin", "--repo", copied, addr, first)
	l.says("10.9.0.6", first)
	l.wait("10.9.0.6", first)
	if out, err := l.try(with("push", "--repo", copied, l.url, "primary")...); err == nil || !strings.Contains(out, "fetch first") || !strings.Contains(out, "hint: both sides have gone on: arpeggio pull") {
		t.Errorf("a push that is late: %v\n%s", err, out)
	}
	l.arpeggio("pull", "--repo", copied, l.url, "primary")
	l.arpeggio(with("push", "--repo", copied, l.url, "primary")...)
	l.wait(addr, first, "permanent")
	l.arpeggio("unpin", "--repo", copied, addr)
	l.arpeggio(with("push", "--repo", copied, l.url, "primary")...)
	l.wait(addr, first, "stale", "delay", "probe", "reachable")

	// The same at once, at the URL.
	if out, err := l.try("pin", "--repo", l.url, addr, second); err == nil || !strings.Contains(out, "--password-file") {
		t.Errorf("an order without a token: %v\n%s", err, out)
	}
	l.wait(addr, first)
	l.arpeggio(with("pin", "--repo", l.url, addr, second)...)
	l.wait(addr, second, "permanent")
	l.arpeggio(with("unpin", "--repo", l.url, addr)...)
	l.wait(addr, second, "stale", "delay", "probe", "reachable")
	l.arpeggio(with("branch", "--repo", l.url, "elsewhere", "primary~1")...)
	if out := l.arpeggio("branch", "--repo", l.store); !strings.Contains(out, "elsewhere") || !strings.Contains(out, "what-if") {
		t.Errorf("branches of the live store:\n%s", out)
	}
	l.arpeggio(with("merge", "--repo", l.url, "--into", "elsewhere", "primary")...)

	// And at the store that the program has open: who owns it needs no token.
	l.arpeggio("pin", "--repo", l.store, addr, first)
	l.wait(addr, first, "permanent")
	pin := l.commit(l.store, addr, addr+" pinned")
	l.arpeggio("revert", "--repo", l.store, pin)
	l.wait(addr, second, "stale", "delay", "probe", "reachable")
	l.arpeggio("branch", "--repo", l.store, "-d", "elsewhere")

	final := filepath.Join(l.dir, "final.git")
	l.arpeggio("clone", l.url, final)
	must(t, "git", "-C", final, "fsck", "--strict")
}
