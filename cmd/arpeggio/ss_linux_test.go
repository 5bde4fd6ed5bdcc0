package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/internal/instance"
	namespace "arpeggio/internal/netns"
	"arpeggio/internal/sockstat"
)

// TestSS asks a serve that runs for its sockets while the kernel's own stack is
// the peer.
func TestSS(t *testing.T) {
	ns, exe, dir := netns(t), binary(t), filepath.Join(t.TempDir(), "run")
	t.Setenv(instance.EnvDir, dir)
	ss := func(args ...string) string {
		t.Helper()
		return must(t, append([]string{exe, "ss", "--color", "never"}, args...)...)
	}
	refused(t, "hint: start one with", exe, "ss")
	p := spawn(t, append(ns, exe, "serve", "--tap", "tap0", "--host-ip", "10.9.0.1/24", "--ip", "10.9.0.2/24", "--probe", "never", "--inetd")...)
	p.expect(`^  tests +echo 7, `)

	if out := ss("-lnt"); !regexp.MustCompile(`(?m)^State +Recv-Q +Send-Q +Local Address:Port +Peer Address:Port\nLISTEN +0 +4096 +0\.0\.0\.0:7 +\*:\*$`).MatchString(out) {
		t.Errorf("listeners:\n%s", out)
	}
	if out := ss("-lnu", "-H", "sport", "=", ":7"); !regexp.MustCompile(`^UNCONN +0 +0 +0\.0\.0\.0:7 +\*:\*\n$`).MatchString(out) {
		t.Errorf("UDP echo:\n%s", out)
	}
	if out := ss("-nt", "-H"); out != "" {
		t.Errorf("connections before there is one:\n%s", out)
	}

	var c net.Conn
	if err := (&namespace.Namespace{Name: ns[3]}).Do(func() (err error) {
		c, err = net.DialTimeout("tcp", "10.9.0.2:7", testLimit)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(testLimit))
	sent := bytes.Repeat([]byte("arpeggio"), 4000)
	go func() { _, _ = c.Write(sent) }()
	if _, err := io.ReadFull(c, make([]byte, len(sent))); err != nil {
		t.Fatal(err)
	}
	peer := c.LocalAddr().String()
	// until comes back with what ss prints once it has all of want, or after a while.
	until := func(want []string, args ...string) (out string) {
		t.Helper()
		for end := time.Now().Add(testLimit); ; time.Sleep(50 * time.Millisecond) {
			out = ss(args...)
			if !slices.ContainsFunc(want, func(w string) bool { return !regexp.MustCompile(w).MatchString(out) }) || time.Now().After(end) {
				return out
			}
		}
	}

	quiet := []string{`(?m)^ESTAB +0 +0 .*:7 [^\n]*$`, ` bytes_acked:32000 `}
	out := until(quiet, "-tio", "state", "established", "( sport = :7 and dst 10.9.0.0/24 )")
	if strings.Contains(out, "timer:") {
		t.Errorf("a timer runs while nothing is on its way:\n%s", out)
	}
	for _, want := range []string{
		`(?m)^ESTAB +0 +0 +10\.9\.0\.2:7 +` + regexp.QuoteMeta(peer) + `$`,
		`\n\t ts sack cubic wscale:\d+,\d+ rto:\d+(\.\d+)? rtt:`, ` mss:1448 pmtu:1500 `, ` cwnd:\d+ `, ` bytes_sent:\d+ `, ` bytes_acked:32000 `, ` bytes_received:32000 `,
		` send [0-9.]+[KMG]bps lastsnd:\d+ lastrcv:\d+ lastack:\d+ pacing_rate [0-9.]+[KMG]bps `,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	// Daytime closes first, and lingers.
	var d net.Conn
	if err := (&namespace.Namespace{Name: ns[3]}).Do(func() (err error) {
		d, err = net.DialTimeout("tcp", "10.9.0.2:13", testLimit)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(d)
	d.Close()
	lingers := `TIME-WAIT +0 +0 +10\.9\.0\.2:13 +10\.9\.0\.1:\d+ +timer:\(timewait,[45][0-9]sec,0\)`
	if out := until([]string{lingers}, "-tno", "state", "TIME-WAIT", "sport = 13"); !regexp.MustCompile(lingers).MatchString(out) {
		t.Errorf("after daytime:\n%s", out)
	}
	for _, none := range []string{"state close-wait", "dport = :7", "dst 10.8.0.0/16", "exclude all"} {
		if out := ss("-tH", none); out != "" {
			t.Errorf("%s shows\n%s", none, out)
		}
	}

	var s sockstat.Socket
	if err := json.Unmarshal([]byte(ss("-t", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	if s.State != "ESTAB" || s.Peer.String() != peer || s.TCP == nil || s.TCP.BytesAcked != 32000 || s.TCP.SRTT <= 0 || !s.TCP.SACK || s.TCP.Timer != "none" {
		t.Errorf("%+v %+v", s, s.TCP)
	}
	// The kernel's ss sees the other end of the same.
	if kernel, err := command(t, append(ns, "ss", "-tinH", "dport", "=", ":7")...); err == nil {
		for _, want := range []string{"bytes_acked:32001", "bytes_received:32000"} { // its SYN counts, too
			if !strings.Contains(kernel, want) {
				t.Errorf("no %s in the kernel's\n%s", want, kernel)
			}
		}
	}

	var sum sockstat.Summary
	if err := json.Unmarshal([]byte(ss("-s", "--json")), &sum); err != nil {
		t.Fatal(err)
	}
	if sum.TCP["ESTAB"] != 1 || sum.TCP["LISTEN"] != 5 || sum.Counts["tcpPassiveOpens"] != 2 || sum.Counts["tcpCurrEstab"] != 1 {
		t.Errorf("%+v", sum)
	}
	if out := ss("-s", "--of", "tap0"); !strings.Contains(out, "(estab 1, opening 0, closing 0, timewait 1, listen 5)") {
		t.Errorf("summary:\n%s", out)
	}
	refused(t, `"tap7"; there are tap0 \(pid \d+\)`, exe, "ss", "--of", "tap7")
	out, err := command(t, exe, "ss", "state", "open")
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(out, `"open" is no state`) {
		t.Errorf("%v: %s", err, out)
	}
}
