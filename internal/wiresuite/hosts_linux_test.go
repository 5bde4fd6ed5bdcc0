package wiresuite

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/internal/netns"
	"arpeggio/internal/testproc"
)

const servicesEnv = "WIRESUITE_SERVICES"

// TestMain is also the program that serves on the kernel under test.
func TestMain(m *testing.M) {
	if os.Getenv(servicesEnv) != "" {
		serveOnKernel()
	}
	os.Exit(m.Run())
}

// only is the expression that selects cases, and whether to log them.
func only(t *testing.T) (re *regexp.Regexp, verbose bool) {
	s := os.Getenv("WIRESUITE")
	re, err := regexp.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return re, s != ""
}

func namespace(t *testing.T) *netns.Namespace {
	t.Helper()
	ns, err := netns.New()
	if errors.Is(err, netns.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// TestWire judges the built program, and in the long run the kernel by the same
// cases.
func TestWire(t *testing.T) {
	t.Run("arpeggio", judgeArpeggio)
	if long() || os.Getenv("WIRESUITE_OFFLOAD") != "" {
		t.Run("offload", judgeOffload)
	}
	if long() || os.Getenv("WIRESUITE_KERNEL") != "" {
		t.Run("Linux", judgeKernel)
	}
}

// long reports whether cases that take minutes are to be judged as well.
func long() bool { return os.Getenv("SOAK") != "" }

// judgeArpeggio judges the program, started as a suite that looks at the TAP would
// start it. No MUST may fail, and no SHOULD without a reason.
func judgeArpeggio(t *testing.T) {
	ns := namespace(t)
	if err := errors.Join(ns.IP("tuntap", "add", "wire", "mode", "tap"),
		ns.IP("link", "set", "wire", "txqueuelen", "20000", "mtu", "1500", "up")); err != nil {
		t.Fatal(err)
	}
	var w wire
	if err := ns.Do(func() (err error) { w, err = openCable("wire"); return err }); err != nil {
		t.Fatal(err)
	}
	judgeBinary(t, ns, w)
}

// judgeOffload judges it with checksums and segmentation left to the device: a
// bridge leads from its TAP to another one, where the kernel has done both.
func judgeOffload(t *testing.T) {
	ns := namespace(t)
	var w wire
	if err := ns.Do(func() (err error) { w, err = openTAP("far"); return err }); err != nil {
		t.Fatal(err)
	}
	err := errors.Join(ns.IP("link", "add", "middle", "type", "bridge"), ns.IP("tuntap", "add", "wire", "mode", "tap"))
	for _, name := range []string{"wire", "far"} {
		err = errors.Join(err, ns.IP("link", "set", name, "txqueuelen", "20000", "master", "middle", "up"))
	}
	if err = errors.Join(err, ns.IP("link", "set", "middle", "up")); err != nil {
		t.Fatal(err)
	}
	judgeBinary(t, ns, w, "--offload")
}

// judgeBinary starts the program at the TAP wire of a namespace; w is the other
// end, which it closes.
func judgeBinary(t *testing.T, ns *netns.Namespace, w wire, flags ...string) {
	defer w.close()
	binary := os.Getenv("WIRESUITE_BINARY")
	if binary == "" {
		binary = filepath.Join(t.TempDir(), "arpeggio")
		if out, err := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, "arpeggio/cmd/arpeggio").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	m := mac{2, 9, 0xff, 0, 0, 2}
	l := newLAN(w, m)
	var log bytes.Buffer
	l.newcomer = newcomers(ns, binary)
	cmd := ns.Command(binary, append([]string{"serve", "--tap", "wire", "--ip", hostIP.String() + "/16", "--gateway", gatewayIP.String(),
		"--mac", "02:09:ff:00:00:02", "--inetd", "--probe", "never"}, flags...)...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := testproc.Start(cmd); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("arpeggio: %v\n%s", err, log.Bytes()[max(0, log.Len()-4000):])
		}
	}()
	if err := l.awaitHost(); err != nil {
		t.Fatal(err)
	}
	re, verbose := only(t)
	all := judge(l, re, long())
	for _, v := range report(t, "arpeggio", all, func(c testCase) string {
		if c.level == must {
			return ""
		}
		return c.ours
	}, verbose) {
		t.Errorf("%s %s: %s: %s", v.level, v.clause, v.name, v.failed)
	}
	for _, bad := range l.malformed {
		t.Errorf("the host sent %s", bad)
	}
}

// newcomers returns what starts further hosts, each at a TAP of its own, which ask
// at the RFC's pace whether their address is free.
func newcomers(ns *netns.Namespace, binary string) func(*peer, ip4) (*newcomer, func()) {
	var tried atomic.Int32
	return func(p *peer, taken ip4) (*newcomer, func()) {
		name := fmt.Sprintf("new%d", tried.Add(1))
		var w wire
		err := errors.Join(ns.IP("tuntap", "add", name, "mode", "tap"), ns.IP("link", "set", name, "up"))
		if err == nil {
			err = ns.Do(func() (err error) { w, err = openCable(name); return err })
		}
		if err != nil {
			p.fail("a TAP: %v", err)
		}
		l := newLAN(w, mac{2, 9, 0xff, 0, 0, 3})
		if taken != (ip4{}) {
			l.station(p.note).beyond(taken)
		}
		cmd := ns.Command(binary, "serve", "--tap", name, "--ip", hostIP.String()+"/16", "--mac", net.HardwareAddr(l.hostMAC[:]).String(), "--no-offload",
			"--probe", "standard")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := testproc.Start(cmd); err != nil {
			w.close()
			p.fail("%v", err)
		}
		var ended atomic.Pointer[error]
		done := make(chan struct{})
		go func() {
			err := cmd.Wait()
			if p.note("=", out.String()); err != nil {
				err = fmt.Errorf("%w: %s", err, out.Bytes())
			}
			ended.Store(&err)
			close(done)
		}()
		stop := func() {
			_ = cmd.Process.Signal(os.Interrupt)
			<-done
			w.close()
		}
		return &newcomer{l, func() error {
			if err := ended.Load(); err != nil {
				return *err
			}
			return nil
		}}, stop
	}
}

// judgeKernel judges the Linux kernel: what it fails, and is not named with the
// case, is most likely an error of the case.
func judgeKernel(t *testing.T) {
	ns := namespace(t)
	var w wire
	if err := ns.Do(func() (err error) { w, err = openTAP("wire"); return err }); err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if err := ns.Do(func() error {
		// The usual one of this machine paces; reno can be had in a namespace.
		return os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte("reno"), 0)
	}); err != nil {
		t.Log(err)
	}
	m := mac{2, 9, 0xff, 0, 0, 2}
	if err := errors.Join(
		ns.IP("link", "set", "wire", "address", "02:09:ff:00:00:02"),
		ns.IP("link", "set", "wire", "txqueuelen", "20000", "up"),
		ns.IP("addr", "add", hostIP.String()+"/16", "brd", "+", "dev", "wire"),
		ns.IP("route", "add", "default", "via", gatewayIP.String()),
	); err != nil {
		t.Fatal(err)
	}
	l := newLAN(w, m)
	l.kernel = true
	cmd := ns.Command(os.Args[0])
	cmd.Env = append(os.Environ(), servicesEnv+"=1")
	cmd.Stderr = os.Stderr
	if err := testproc.Start(cmd); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if err := l.awaitHost(); err != nil {
		t.Fatal(err)
	}
	re, verbose := only(t)
	all := judge(l, re, long())
	for _, v := range report(t, "Linux", all, func(c testCase) string { return c.kernel }, verbose) {
		t.Errorf("unexpected of the kernel: %s %s: %s: %s", v.level, v.clause, v.name, v.failed)
	}
}

// awaitHost waits until the host echoes over UDP and accepts on each port.
func (l *lan) awaitHost() (err error) {
	p := l.station(func(string, string) {})
	defer func() {
		if f, ok := recover().(failure); ok {
			err = fmt.Errorf("the host does not come up: %s", f.text)
		}
	}()
	for range 300 {
		p.send(ip{proto: protoUDP, payload: udp{src: 99, dst: echo, data: []byte("up?")}.bytes(p.ip, l.host)})
		if p.try(100*time.Millisecond, func(k *packet) bool { return k.udp != nil }) != nil {
			for _, port := range []uint16{echo, discard, daytime, chargen} {
				c := p.open(port)
				c.out(c.seg(rst))
			}
			return nil
		}
	}
	return errors.New("the host does not answer over UDP")
}
