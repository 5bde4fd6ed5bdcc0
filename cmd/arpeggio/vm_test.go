package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"arpeggio/internal/instance"
	"arpeggio/site"
)

// testImage builds an image with the shipped binary and the built-in site.
func testImage(t *testing.T) (bin, dir string) {
	t.Helper()
	need(t, "qemu-system-x86_64", "git")
	bin = binary(t)
	kernel, err := kernelPath()
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "image")
	must(t, bin, "image", "build", "--kernel", kernel, "--out", dir)
	return bin, dir
}

// urls reads what the machine printed when it was ready.
func urls(p *process) (siteURL, liveURL, gitURL string) {
	p.expect(`^ready after`)
	siteURL = p.expect(`^  site +(http://\S+)$`)[1]
	liveURL = p.expect(`^  live +(http://\S+)$`)[1]
	gitURL = p.expect(`^  history +git clone (http://\S+)$`)[1]
	p.expect(`^  stop `)
	return siteURL, liveURL, gitURL
}

func get(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Timeout: testLimit}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
	}
	return string(b)
}

// TestVM is the main job: a machine boots without privileges on the software
// LAN, serves a page, has its history cloned over its own TCP, powers off in
// order, and goes on where it was at the second boot.
func TestVM(t *testing.T) {
	bin, image := testImage(t)
	dir := t.TempDir()
	t.Setenv(instance.EnvDir, filepath.Join(dir, "run"))
	disk := filepath.Join(dir, "data.img")
	run := []string{bin, "vm", "run", "--image", image, "--disk", disk, "--http", "127.0.0.1:0", "--manage", "127.0.0.1:0"}

	pcap := filepath.Join(dir, "lan.pcapng")
	tokens := filepath.Join(dir, "tokens")
	if err := os.WriteFile(tokens, []byte(vmToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, append(run[:len(run):len(run)], "--pcap", pcap, "--write-token", tokens)...)
	siteURL, liveURL, gitURL := urls(p)
	want, err := fs.ReadFile(site.Default(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, siteURL); got != string(want) {
		t.Errorf("the page has %d octets and differs from the site's %d", len(got), len(want))
	}
	if page := get(t, liveURL); !strings.Contains(page, "10.9.0.1<") {
		t.Errorf("the live page does not show the gateway:\n%s", page)
	}
	if got := get(t, liveURL+"healthz"); got != "ok\n" {
		t.Errorf("healthz: %q", got)
	}
	if out := must(t, bin, "ss", "-tanH"); !regexp.MustCompile(`(?m)^LISTEN +\d+ +\d+ +0\.0\.0\.0:80 `).MatchString(out) || !regexp.MustCompile(`10\.9\.0\.\d+:80 +10\.9\.0\.1:\d+`).MatchString(out) {
		t.Errorf("the machine's sockets:\n%s", out)
	}
	if out := must(t, bin, "ss", "-s"); !regexp.MustCompile(`(?m)^Recording\.Frames +[1-9]`).MatchString(out) || !regexp.MustCompile(`(?m)^Recording\.Notes +[1-9]`).MatchString(out) {
		t.Errorf("the machine's recording:\n%s", out)
	}

	// The guest's clock follows the gateway's, which is this host's.
	console := filepath.Join(dir, "data.console.log")
	for deadline := time.Now().Add(testLimit); ; time.Sleep(200 * time.Millisecond) {
		text, err := os.ReadFile(console)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("msg=clock server=10.9.0.1 ")) && !bytes.Contains(text, []byte("cannot be set")) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the guest did not set its clock:\n%s", text)
		}
	}

	clone := filepath.Join(dir, "clone")
	must(t, "git", "clone", "-q", gitURL, clone)
	must(t, "git", "-C", clone, "fsck", "--strict")
	before := commits(t, clone)
	for deadline := time.Now().Add(testLimit); ; time.Sleep(200 * time.Millisecond) {
		must(t, "git", "-C", clone, "fetch", "-q")
		if commits(t, clone) > before+2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the network is silent: no new commit for a minute")
		}
	}
	must(t, "git", "-C", clone, "fsck", "--strict")

	checkOrders(t, bin, liveURL, gitURL, tokens, filepath.Join(dir, "data.console.log"))
	live := filepath.Join(dir, "live.git")
	must(t, bin, "snapshot", "--repo", gitURL, "--out", live)
	checkSnapshot(t, live)

	refused(t, "in use", append(run, "--console", filepath.Join(dir, "second.log"))...)
	refused(t, `in use[\s\S]*--repo http`, bin, "snapshot", "--disk", disk, "--image", image, "--out", filepath.Join(dir, "no.git"))

	p.stop()
	if out := p.stdout.String(); !strings.Contains(out, bin+" snapshot --disk") {
		t.Errorf("the last words name no way to the history:\n%s", out)
	}
	if lines := regexp.MustCompile(`(?m)^arpeggio: accelerator (kvm: KVM works|tcg: KVM cannot be used: \S).*$`).FindAllString(p.stderr.String(), -1); len(lines) != 1 {
		t.Errorf("the accelerator and the reason for it take %d lines", len(lines))
	}
	checkSilentKernel(t, pcap)
	checkComments(t, p, pcap, clone)
	head := strings.TrimSpace(must(t, "git", "-C", clone, "rev-parse", "origin/primary"))

	cold := filepath.Join(dir, "cold.git")
	must(t, bin, "snapshot", "--disk", disk, "--image", image, "--out", cold)
	checkSnapshot(t, cold)
	must(t, "git", "-C", cold, "merge-base", "--is-ancestor", head, "primary")
	checkHistoryOfDisk(t, disk, image, cold)
	checkDisk(t, disk, head)

	p = spawn(t, run...)
	_, liveURL, gitURL = urls(p)
	if known := neighbors(t, liveURL); known < 4 {
		t.Errorf("the second boot starts with %d neighbours, its cache should be warm", known)
	}
	second := filepath.Join(dir, "second")
	must(t, "git", "clone", "-q", gitURL, second)
	must(t, "git", "-C", second, "merge-base", "--is-ancestor", head, "HEAD")
	p.stop()
	checkDamaged(t, run, disk, head)
}

// vmToken is a secret that must be nowhere but in its file.
const vmToken = "5ec7e7d0c0ffee51"

// checkOrders pins the gateway in the machine's live table, by a push that needs a
// token, which is on no command line and not on the console.
func checkOrders(t *testing.T, bin, liveURL, gitURL, tokens, console string) {
	t.Helper()
	refused(t, "--password-file", bin, "pin", "--repo", gitURL, "10.9.0.1", "02:50:00:00:00:01")
	must(t, bin, "pin", "--repo", gitURL, "--password-file", tokens, "10.9.0.1", "02:50:00:00:00:01")
	for deadline := time.Now().Add(testLimit); !strings.Contains(get(t, liveURL+"api/neighbors"), `"permanent"`); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the pin does not reach the live table")
		}
	}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	machines := 0
	for _, file := range append(files, console) {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if bytes.Contains(b, []byte(vmToken)) {
			t.Errorf("the token is in %s: %q", file, b)
		}
		if bytes.Contains(b, []byte("arpeggio.push=1")) {
			machines++
		}
	}
	if machines == 0 { // at least QEMU itself
		t.Errorf("looked for the token in the wrong places: %d name the machine", machines)
	}
}

// checkDamaged spoils the store on the powered-off disk. What can be made again
// is, and the machine says so; a store of a newer program it refuses and says
// what to do, and doing that gives the history back.
func checkDamaged(t *testing.T, run []string, disk, head string) {
	t.Helper()
	need(t, "debugfs")
	dir := t.TempDir()
	change := func(name string, fn func([]byte) []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		must(t, "debugfs", "-R", "dump /store/"+name+" "+path, disk)
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 {
			t.Fatalf("the store's %s: %d octets, %v", name, len(b), err)
		}
		if err := os.WriteFile(path, fn(b), 0o600); err != nil {
			t.Fatal(err)
		}
		must(t, "debugfs", "-w", "-R", "rm /store/"+name, disk)
		must(t, "debugfs", "-w", "-R", "write "+path+" /store/"+name, disk)
	}
	change("MANIFEST", func(b []byte) []byte {
		b[len(b)/2] ^= 0xff
		return b
	})
	p := spawn(t, run...)
	_, _, gitURL := urls(p)
	clone := filepath.Join(dir, "clone")
	must(t, "git", "clone", "-q", gitURL, clone)
	must(t, "git", "-C", clone, "merge-base", "--is-ancestor", head, "HEAD")
	p.stop()
	if out := p.stdout.String(); !strings.Contains(out, "was made again from the tables") {
		t.Errorf("the machine does not say that the manifest was damaged:\n%s", out)
	}

	// Both have to say so, or one of them is taken for damaged.
	change("FORMAT", func(b []byte) []byte { return bytes.Replace(b, []byte("format 1"), []byte("format 2"), 1) })
	change("MANIFEST", func(b []byte) []byte {
		b[5]++ // the version of our format
		return b
	})
	refused(t, `does not open[\s\S]*hint: .*snapshot --disk`, run...)
	rescued, image := filepath.Join(dir, "rescued.git"), run[4]
	if out := must(t, run[0], "snapshot", "--disk", disk, "--image", image, "--out", rescued); !strings.Contains(out, "last snapshot") {
		t.Errorf("it does not say that it took the snapshot:\n%s", out)
	}
	checkSnapshot(t, rescued)
	must(t, "git", "-C", rescued, "merge-base", "--is-ancestor", head, "primary")
}

// TestMakeRun holds the Makefile to what the README promises of a plain make run.
func TestMakeRun(t *testing.T) {
	need(t, "make")
	out := must(t, "make", "-n", "-C", "../..", "run")
	for _, want := range []string{"vm run --install", "--disk build/data.img", "--net lan", "--http 127.0.0.1:8080", "--manage 127.0.0.1:8081", "--expire 60s"} {
		if !strings.Contains(out, want) {
			t.Errorf("make run lacks %q:\n%s", want, out)
		}
	}
}

func commits(t *testing.T, dir string) int {
	return strings.Count(must(t, "git", "-C", dir, "log", "--remotes", "--oneline"), "\n")
}

// checkSnapshot lets stock git judge a bare directory.
func checkSnapshot(t *testing.T, dir string) {
	t.Helper()
	must(t, "git", "-C", dir, "fsck", "--strict")
	log := must(t, "git", "-C", dir, "log", "--all", "--graph", "--oneline")
	if !strings.Contains(log, "initial empty cache") || strings.Count(log, "*") < 3 {
		t.Errorf("the graph of %s:\n%s", dir, log)
	}
	file := strings.Fields(must(t, "git", "-C", dir, "ls-tree", "-r", "--name-only", "primary"))[0]
	if blame := must(t, "git", "-C", dir, "blame", "primary", "--", file); !strings.Contains(blame, "mac") {
		t.Errorf("git blame %s:\n%s", file, blame)
	}
}

// checkDisk looks at the powered-off disk with e2fsprogs, which knows nothing of
// us: the file system is clean and holds the last snapshot.
func checkDisk(t *testing.T, disk, head string) {
	t.Helper()
	need(t, "e2fsck", "debugfs")
	must(t, "e2fsck", "-fn", disk)
	out := t.TempDir()
	must(t, "debugfs", "-R", "rdump /arp.git "+out, disk)
	dir := filepath.Join(out, "arp.git")
	must(t, "git", "-C", dir, "fsck", "--strict")
	must(t, "git", "-C", dir, "merge-base", "--is-ancestor", head, "primary")
}

// neighbors counts what the live page's API lists.
func neighbors(t *testing.T, liveURL string) int {
	t.Helper()
	var list []any
	body := get(t, liveURL+"api/neighbors")
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		var doc map[string][]any
		if err := json.Unmarshal([]byte(body), &doc); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		list = doc["neighbors"]
	}
	return len(list)
}

// TestVMUser boots behind QEMU's own gateway, which hands out the address. The
// history speaks as in 2015, as the command line says.
func TestVMUser(t *testing.T) {
	bin, image := testImage(t)
	p := spawn(t, bin, "vm", "run", "--image", image, "--net", "user", "--compat", "2015", "--http", "127.0.0.1:0", "--manage", "127.0.0.1:0")
	siteURL, _, gitURL := urls(p)
	if page := get(t, siteURL); !strings.Contains(page, "arpeggio") {
		t.Errorf("the page is %q", page)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	must(t, "git", "clone", "-q", gitURL, clone)
	// QEMU's gateway is 10.0.2.2 and has a well-known MAC address.
	if log := must(t, "git", "-C", clone, "log", "--oneline"); !strings.Contains(log, ": 10.0.2.2 -> 52:55:0a:00:02:02") ||
		!strings.Contains(log, "Arp.create: Initial empty cache") || strings.Contains(log, " arp: 10.0.2.2") {
		t.Errorf("history:\n%s", log)
	}
	p.stop()
}

// TestVMHostDiskFull fills the file system that the data disk is on: the machine
// waits, says so, goes on when there is room, and can be stopped when there is none.
func TestVMHostDiskFull(t *testing.T) {
	need(t, "unshare", "mount")
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	bin, image := testImage(t)
	dir := t.TempDir()
	// Nobody but the machine sees the mount, and it goes with the machine.
	p := spawn(t, "unshare", "-m", "sh", "-ec", `mount -t tmpfs -o size=2m tmpfs "$1"; shift; exec "$@" 2>&1`, "sh", dir,
		bin, "vm", "run", "--image", image, "--disk", filepath.Join(dir, "data.img"), "--expire", "60s", "--http", "127.0.0.1:0", "--manage", "127.0.0.1:0")
	siteURL, _, _ := urls(p)
	fill := fmt.Sprintf("/proc/%d/root%s/fill", p.cmd.Process.Pid, dir)
	full := func() {
		t.Helper()
		// A tmpfs takes whole pages: what is written last fails.
		if err := os.WriteFile(fill, make([]byte, 2<<20), 0o600); err == nil {
			t.Fatal("the file system is not full")
		}
		p.expect(`data.img cannot be written \(No space left on device\): the machine waits`)
	}
	full()
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	p.expect(`can be written again: the machine goes on`)
	if page := get(t, siteURL); !strings.Contains(page, "arpeggio") {
		t.Errorf("the page is %q", page)
	}
	full()
	p.cmd.Process.Signal(os.Interrupt)
	p.expect(`its disk could not be written \(No space left on device\); make room on the host`)
	<-p.done
}

// TestVMRefusesForeignDisk keeps what somebody else put on a disk.
func TestVMRefusesForeignDisk(t *testing.T) {
	bin, image := testImage(t)
	disk := filepath.Join(t.TempDir(), "photos.img")
	content := []byte(strings.Repeat("my photographs ", 100_000))
	if err := os.WriteFile(disk, content, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, "photos.img", bin, "vm", "run", "--image", image, "--disk", disk, "--http", "127.0.0.1:0")
	if b, err := os.ReadFile(disk); err != nil || string(b) != string(content) {
		t.Errorf("the disk was changed (%v)", err)
	}
}
