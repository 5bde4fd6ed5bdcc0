package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"arpeggio/internal/instance"
	namespace "arpeggio/internal/netns"
	"arpeggio/stack/capture"
)

// TestPcapComments records a serve whose peer is the kernel: comments name the
// connection, and what a packet has led to.
func TestPcapComments(t *testing.T) {
	ns, exe, dir := netns(t), binary(t), t.TempDir()
	t.Setenv(instance.EnvDir, filepath.Join(dir, "run"))
	repo := filepath.Join(dir, "repo")
	serve := append(ns, exe, "serve", "--tap", "tap0", "--host-ip", "10.9.0.1/24", "--ip", "10.9.0.2/24", "--probe", "never", "--repo", repo, "--inetd")
	refused(t, "goes with --pcap", append(serve, "--pcap-size", "1M")...)
	refused(t, "at least 1048576", append(serve, "--pcap", filepath.Join(dir, "t.pcapng"), "--pcap-size", "1K")...)
	p := spawn(t, append(serve, "--pcap", filepath.Join(dir, "t.pcapng"), "--pcap-size", "1M")...)
	p.expect(`^  tests +echo 7, `)
	dial := func(addr string) (c net.Conn) {
		t.Helper()
		if err := (&namespace.Namespace{Name: ns[3]}).Do(func() (err error) {
			c, err = net.DialTimeout("tcp", addr, testLimit)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(testLimit))
		return c
	}
	// The kernel closes first here, and the appliance there.
	c := dial("10.9.0.2:7")
	first := c.LocalAddr().String()
	_, _ = c.Write([]byte("hello"))
	_, _ = io.ReadFull(c, make([]byte, 5))
	_ = c.(*net.TCPConn).CloseWrite()
	_, _ = io.ReadAll(c)
	c.Close()
	d := dial("10.9.0.2:13")
	second := d.LocalAddr().String()
	_, _ = io.ReadAll(d)
	d.Close()
	// The last acknowledgments, and the commit.
	for end := time.Now().Add(testLimit); ; time.Sleep(50 * time.Millisecond) {
		left := must(t, exe, "ss", "--color", "never", "-tanH", "exclude", "listening")
		log, err := command(t, exe, "log", "--repo", repo)
		if err == nil && strings.Contains(log, "10.9.0.1") && !strings.Contains(left, first) && regexp.MustCompile(`^TIME-WAIT [^\n]* `+second+`\s*$`).MatchString(left) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("sockets:\n%s\nhistory (%v):\n%s", left, err, log)
		}
	}
	p.stop()

	files, _ := filepath.Glob(filepath.Join(dir, "t.0*.pcapng"))
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := capture.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	var commits []string
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		arrow := "<"
		if p.Direction == capture.Out {
			arrow = ">"
		}
		comment := regexp.MustCompile(`; (checksum partial|super-frame[^;]*; checksum partial)`).ReplaceAllString(p.Comment, "")
		text.WriteString(arrow + " " + comment + "\n")
		if m := regexp.MustCompile(`^commit ([0-9a-f]{40})$`).FindStringSubmatch(comment); m != nil {
			commits = append(commits, m[1])
		}
	}
	for _, want := range []string{
		`< tcp 10\.9\.0\.2:7 ` + first + `; LISTEN → SYN-RECEIVED`,
		`> tcp 10\.9\.0\.2:7 ` + first + ``,
		`< tcp 10\.9\.0\.2:7 ` + first + `; SYN-RECEIVED → ESTABLISHED`,
		`< tcp 10\.9\.0\.2:7 ` + first + `; ESTABLISHED → CLOSE-WAIT`,
		`> tcp 10\.9\.0\.2:7 ` + first + `; CLOSE-WAIT → LAST-ACK`,
		`< tcp 10\.9\.0\.2:7 ` + first + `; LAST-ACK → CLOSED`,
		`> tcp 10\.9\.0\.2:13 ` + second + `; ESTABLISHED → FIN-WAIT-1`,
		`< tcp 10\.9\.0\.2:13 ` + second + `; FIN-WAIT-1 → (FIN-WAIT-2|TIME-WAIT|FIN-WAIT-2; FIN-WAIT-2 → TIME-WAIT)`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(text.String()) {
			t.Errorf("no %s", want)
		}
	}
	if len(commits) == 0 {
		t.Error("no frame led to a commit")
	}
	for _, id := range commits {
		if out := must(t, exe, "show", "--repo", repo, id); !strings.Contains(out, "10.9.0.1") {
			t.Errorf("commit %s:\n%s", id, out)
		}
	}
	// The recording gives a history of its own, in which the peer is the same.
	if out := must(t, exe, "read", files[0]); !strings.Contains(out, "10.9.0.1") {
		t.Errorf("read again:\n%s", out)
	}
	if t.Failed() {
		t.Logf("\n%s", text.String())
	}
}
