package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"arpeggio/arp"
	labs "arpeggio/internal/netns"
	"arpeggio/internal/testproc"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
)

// watched is the shipped program watching one end of a cable.
type watched struct {
	t    *testing.T
	dir  string // that anybody may use
	here *labs.Namespace
	peer *tuntap.Packet
	cmd  *exec.Cmd
	stop func() // kills it
	err  strings.Builder
}

func startWatch(t *testing.T, args ...string) *watched {
	t.Helper()
	here, far, err := labs.Pair("va", "vb")
	if errors.Is(err, labs.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close(); far.Close() })
	w := &watched{t: t, here: here}
	if w.dir, err = os.MkdirTemp("", "arpeggio-watch-"); err == nil {
		err = os.Chmod(w.dir, 0o755)
	}
	if err == nil {
		err = far.Do(func() (err error) {
			w.peer, err = tuntap.OpenPacket(tuntap.PacketConfig{Interface: "vb"})
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.peer.Close(); os.RemoveAll(w.dir) })
	w.run(args...)
	return w
}

// run starts the program, and waits until it watches.
func (w *watched) run(args ...string) {
	w.t.Helper()
	w.err.Reset()
	w.cmd = w.here.Command(binary(w.t), append([]string{"watch", "--repo", filepath.Join(w.dir, "lan"), "va"}, args...)...)
	errs, err := w.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	stop, err := testproc.Guarded(w.cmd) // it changes its user
	if err != nil {
		w.t.Fatal(err)
	}
	w.stop = stop
	w.t.Cleanup(func() { stop(); w.cmd.Wait() })
	b := make([]byte, 4096)
	for !strings.Contains(w.err.String(), "watching va") {
		n, err := errs.Read(b)
		w.err.Write(b[:n])
		if err != nil {
			w.t.Fatalf("it ended: %s", w.err.String())
		}
	}
	go func() {
		for {
			if _, err := errs.Read(b); err != nil {
				return
			}
		}
	}()
}

func (w *watched) send(n int) {
	w.t.Helper()
	mac := ethernet.Addr{2, 0x50, 0, 0, byte(n >> 8), byte(n)}
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac, Type: ethernet.TypeARP}
	p := arp.Packet{Op: arp.OpRequest, SenderMAC: mac, SenderIP: netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)}), TargetIP: netip.AddrFrom4([4]byte{10, 9, 0, 1})}
	if _, err := w.peer.WriteFrames([]link.Frame{{Head: p.AppendTo(h.AppendTo(nil))}}); err != nil {
		w.t.Fatal(err)
	}
}

// keeps waits until the history, as others read it while the program runs, has
// the stations of n sightings.
func (w *watched) keeps(n int) {
	w.t.Helper()
	for end := time.Now().Add(testLimit); ; time.Sleep(50 * time.Millisecond) {
		kept := w.stations()
		if kept == n {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%d stations are in the history, want %d", kept, n)
		}
	}
}

// stations counts what the history has.
func (w *watched) stations() int {
	w.t.Helper()
	return strings.Count(w.arpeggio("table", "--json"), `"address":"10.9.`)
}

func (w *watched) arpeggio(args ...string) string {
	w.t.Helper()
	out, err := exec.Command(binary(w.t), append(args, "--repo", filepath.Join(w.dir, "lan"))...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("arpeggio %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// It runs as nobody without any capability, a hangup does not concern it, and it
// ends in order.
func TestWatchGivesUpItsPrivileges(t *testing.T) {
	w := startWatch(t)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	w.cmd.Process.Signal(syscall.SIGHUP)
	w.send(7)
	w.keeps(1)
	w.cmd.Process.Signal(syscall.SIGTERM)
	if err := w.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if got := w.arpeggio("verify"); !strings.Contains(got, "1 commit") {
		t.Errorf("verify: %s", got)
	}
}

// What others see survives a kill, and that is what came until a moment ago; the
// next run goes on from there.
func TestWatchSurvivesAKill(t *testing.T) {
	w := startWatch(t, "-v")
	const before = 50
	start := time.Now()
	for n := range before {
		w.send(n + 1)
		time.Sleep(15 * time.Millisecond)
	}
	w.keeps(before)
	t.Logf("%d stations sent and kept within %v", before, time.Since(start))
	sent := before
	for range 20 { // until the kill
		sent++
		w.send(sent)
	}
	w.stop()
	w.cmd.Wait()
	kept := w.stations()
	if kept < before || kept > sent {
		t.Errorf("%d stations are in the history, want %d to %d", kept, before, sent)
	}
	w.run()
	w.send(1)
	w.send(2000)
	w.keeps(kept + 1)
	w.cmd.Process.Signal(syscall.SIGTERM)
	if err := w.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if got := w.stations(); got != kept+1 {
		t.Errorf("%d stations after the second run, want %d", got, kept+1)
	}
	if got := w.arpeggio("verify"); !strings.Contains(got, " 0 problems") {
		t.Error(got)
	}
}

// A command that hangs and a web server that is not there delay neither the
// record nor, for more than the grace, the end.
func TestWatchWithDeadReceivers(t *testing.T) {
	const hang = 10 * testLimit
	w := startWatch(t, "--exec", fmt.Sprint("sleep ", hang.Seconds()), "--webhook", "http://192.0.2.1/", "--syslog", "tcp:192.0.2.1:514")
	const n = 50
	for i := range n {
		w.send(i + 1)
	}
	w.keeps(n)
	start := time.Now()
	w.cmd.Process.Signal(syscall.SIGTERM)
	if err := w.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > sinkGrace+testLimit { // much less than a receiver hangs
		t.Errorf("it took %v to end", d)
	}
}

// A ring goes on without privileges, in a folder where the user may write; another
// one is refused before anything is watched.
func TestWatchKeepsARing(t *testing.T) {
	dir, err := os.MkdirTemp("", "arpeggio-ring-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	name := filepath.Join(dir, "t.pcapng")
	ring := []string{"--pcap", name, "--pcap-size", "1M"}
	w := startWatch(t, append(ring, "--user", "root")...) // leaves a file of root's
	w.cmd.Process.Signal(syscall.SIGTERM)
	if err := w.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	out, err := w.here.Command(binary(t), append([]string{"watch", "va"}, ring...)...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nobody cannot make the files of a ring in "+dir) {
		t.Errorf("%v: %s", err, out)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	w.run(ring...)
	third := filepath.Join(dir, "t.000003.pcapng") // begun as root, for the third time
	fourth := filepath.Join(dir, "t.000004.pcapng")
	for n := range 2000 { // between one file of the ring and two
		w.send(n + 1)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(fourth); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the ring does not go on")
		}
	}
	w.cmd.Process.Signal(syscall.SIGTERM)
	if err := w.cmd.Wait(); err != nil {
		t.Error(err)
	}
	for _, file := range []string{third, fourth} {
		if uid, _, err := owner(file); err != nil || uid != 65534 {
			t.Errorf("%s belongs to %d, %v", file, uid, err)
		}
	}
	if out, err := exec.Command(binary(t), "pcap", "--commit", "any", name).Output(); err != nil || !strings.Contains(string(out), "tell 10.9.0.2 at 02:50:00:00:00:02  commit ") {
		t.Errorf("%v: %s", err, out)
	}
}
