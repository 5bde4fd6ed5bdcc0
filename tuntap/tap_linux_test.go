package tuntap_test

import (
	"bytes"
	"errors"
	"net"
	"os/exec"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
)

// openTAP opens a TAP in a namespace whose kernel has 10.9.0.1/24 on it.
func openTAP(t *testing.T, c tuntap.TAPConfig) (*tuntap.TAP, *namespace) {
	t.Helper()
	needTun(t)
	ns := newNamespace(t)
	var tap *tuntap.TAP
	var err error
	ns.do(func() { tap, err = tuntap.OpenTAP(c) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tap.Close() })
	ns.ip("addr", "add", "10.9.0.1/24", "dev", tap.Info().Name)
	return tap, ns
}

// bothWays runs fn on a TAP of the plain path and on one of the offload path.
func bothWays(t *testing.T, fn func(t *testing.T, tap *tuntap.TAP, ns *namespace)) {
	for _, offload := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "offload"}[offload]
		t.Run(name, func(t *testing.T) {
			tap, ns := openTAP(t, tuntap.TAPConfig{Name: "tap-test", Offload: offload, Up: true})
			fn(t, tap, ns)
		})
	}
}

func TestTAPTalksToTheKernel(t *testing.T) {
	bothWays(t, func(t *testing.T, tap *tuntap.TAP, ns *namespace) {
		if in := tap.Info(); in.Name != "tap-test" || in.MTU != 1500 || !in.Addr.IsZero() {
			t.Errorf("Info %+v", in)
		}
		p := newPeer(t, tap)
		p.resolve()
		p.ping(1, []byte("short"))
		p.ping(2, bytes.Repeat([]byte("long "), 290)) // more slices than one writev takes
	})
}

// An interface that is down says so, and one that is up has nothing in the way.
func TestTAPObstacle(t *testing.T) {
	tap, ns := openTAP(t, tuntap.TAPConfig{Name: "tap-test"})
	obstacle := func() (why string) {
		ns.do(func() { why = tap.Obstacle() })
		return why
	}
	if why := obstacle(); why != "is down" {
		t.Errorf("down: %q", why)
	}
	ns.ip("link", "set", "tap-test", "up")
	for end := time.Now().Add(patience); obstacle() != ""; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("up: %q", obstacle())
		}
	}
}

// A frame to a station that is not ours, an unknown EtherType, a frame of the
// shortest length: none of them may end the reading (gVisor's fdbased endpoint
// stops for good at the first).
func TestTAPSurvivesForeignFrames(t *testing.T) {
	bothWays(t, func(t *testing.T, tap *tuntap.TAP, ns *namespace) {
		p := newPeer(t, tap)
		p.resolve()
		ns.ip("neigh", "replace", "10.9.0.77", "lladdr", "02:77:77:77:77:77", "dev", "tap-test", "nud", "permanent")
		ns.do(func() {
			c, err := net.Dial("udp4", "10.9.0.77:9")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.Write([]byte("for somebody else"))
		})
		for i := range 3 {
			p.ping(uint16(i), []byte("still there?"))
		}
		short := make([]byte, 13)
		if n, err := tap.WriteFrames([]link.Frame{{Head: short}}); n != 0 || !errors.Is(err, ethernet.ErrShort) {
			t.Errorf("frame of 13 octets: %d, %v", n, err)
		}
		p.send(link.Frame{Head: append(short, 0x08)}) // 14 octets, no payload
		p.ping(9, nil)
	})
}

func TestTAPMovesSuperFrames(t *testing.T) {
	bothWays(t, func(t *testing.T, tap *tuntap.TAP, ns *namespace) {
		p := newPeer(t, tap)
		p.resolve()
		exchange, gro := p.exchange, tap.Info().Caps.Has(link.CapGRO)
		if gro {
			exchange = p.exchanges
		}
		if longest := exchange(echoServer(t, ns), 30000); gro != (longest > 1514) {
			t.Errorf("longest frame %d octets, CapGRO is %v", longest, gro)
		}
		if st := tap.Stats(); st != (tuntap.Stats{}) {
			t.Errorf("%+v", st)
		}
	})
}

func TestTAPOffloadIsOffered(t *testing.T) {
	tap, _ := openTAP(t, tuntap.TAPConfig{Offload: true})
	want := link.CapTxChecksum | link.CapRxChecksum | link.CapTSO4 | link.CapTSO6 | link.CapGRO
	if c := tap.Info().Caps; c != want {
		t.Errorf("caps %b, want %b: this kernel refuses offloads?", c, want)
	}
	if tap.Info().Name == "" {
		t.Error("the kernel's name is unknown")
	}
}

func TestTAPRefusesTooBig(t *testing.T) {
	bothWays(t, func(t *testing.T, tap *tuntap.TAP, ns *namespace) {
		b := make([]byte, 1515)
		if n, err := tap.WriteFrames([]link.Frame{{Head: b[:1514]}, {Head: b}}); n != 1 || !errors.Is(err, link.ErrTooBig) {
			t.Errorf("WriteFrames = %d, %v", n, err)
		}
		copy(b[12:], []byte{0x81, 0, 0, 5})
		b = append(b, 1, 2, 3)
		if n, err := tap.WriteFrames([]link.Frame{{Head: b}}); n != 1 || err != nil {
			t.Errorf("tagged frame of 1518 octets: %d, %v", n, err)
		}
	})
}

func TestTAPWaitWakeClose(t *testing.T) {
	bothWays(t, func(t *testing.T, tap *tuntap.TAP, ns *namespace) {
		waitWakeClose(t, tap)
	})
}

// waitWakeClose checks what link.Device promises of these methods.
func waitWakeClose(t *testing.T, dev link.Device) {
	t.Helper()
	wait := func(d time.Duration) (time.Duration, error) {
		start := time.Now()
		err := dev.Wait(start.Add(d))
		return time.Since(start), err
	}
	if n, err := dev.ReadFrames(make([]link.Frame, 8)); n != 0 || err != nil {
		t.Fatalf("%d frames before anybody spoke, %v", n, err)
	}
	if d, err := wait(20 * time.Millisecond); err != nil || d < 20*time.Millisecond {
		t.Errorf("deadline: %v, %v", d, err)
	}
	if _, err := wait(-time.Second); err != nil {
		t.Errorf("deadline in the past: %v", err)
	}
	dev.Wake()
	dev.Wake()
	if d, err := wait(time.Minute); err != nil || d > 30*time.Second {
		t.Errorf("Wake before Wait: %v, %v", d, err)
	}
	time.AfterFunc(20*time.Millisecond, dev.Wake)
	if d, err := wait(time.Minute); err != nil || d > 30*time.Second {
		t.Errorf("Wake during Wait: %v, %v", d, err)
	}
	time.AfterFunc(20*time.Millisecond, func() { dev.Close() })
	if _, err := wait(time.Minute); !errors.Is(err, link.ErrClosed) {
		t.Errorf("Close during Wait: %v", err)
	}
	one := []link.Frame{{Head: make([]byte, 60)}}
	if _, err := dev.ReadFrames(one); !errors.Is(err, link.ErrClosed) {
		t.Errorf("ReadFrames after Close: %v", err)
	}
	if _, err := dev.WriteFrames(one); !errors.Is(err, link.ErrClosed) {
		t.Errorf("WriteFrames after Close: %v", err)
	}
	if err := dev.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	dev.Wake()
}

func TestTAPDownAndRemoved(t *testing.T) {
	bothWays(t, func(t *testing.T, tap *tuntap.TAP, ns *namespace) {
		ns.ip("link", "set", "tap-test", "down")
		f := []link.Frame{{Head: make([]byte, 60)}}
		if n, err := tap.WriteFrames(f); n != 0 || !errors.Is(err, tuntap.ErrDown) {
			t.Errorf("write to a TAP that is down: %d, %v", n, err)
		}
		ns.ip("link", "set", "tap-test", "up")
		if n, err := tap.WriteFrames(f); n != 1 || err != nil {
			t.Errorf("write to a TAP that is up again: %d, %v", n, err)
		}
		ns.ip("link", "delete", "tap-test")
		var err error
		for i := 0; i < 100 && err == nil; i++ {
			if err = tap.Wait(time.Now().Add(time.Second)); err == nil {
				_, err = tap.ReadFrames(make([]link.Frame, 1))
			}
		}
		if !errors.Is(err, tuntap.ErrNoInterface) {
			t.Errorf("reading a TAP that was removed: %v", err)
		}
	})
}

func TestOpenTAPErrors(t *testing.T) {
	for _, name := range []string{"..", "a/b", "has space", "sixteen-letters-", "a:b", "tap%d"} {
		if _, err := tuntap.OpenTAP(tuntap.TAPConfig{Name: name}); !errors.Is(err, tuntap.ErrName) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	bothWays(t, func(t *testing.T, tap *tuntap.TAP, ns *namespace) {
		ns.do(func() {
			for _, offload := range []bool{false, true} {
				if _, err := tuntap.OpenTAP(tuntap.TAPConfig{Name: "tap-test", Offload: offload}); !errors.Is(err, tuntap.ErrBusy) {
					t.Errorf("a TAP that is held, offload %v: %v", offload, err)
				}
				if _, err := tuntap.OpenTAP(tuntap.TAPConfig{Name: "lo", Offload: offload}); !errors.Is(err, tuntap.ErrNotTAP) {
					t.Errorf("loopback as a TAP, offload %v: %v", offload, err)
				}
			}
			if _, err := tuntap.OpenTAP(tuntap.TAPConfig{Name: "tap-mtu", MTU: 1 << 20}); err == nil {
				t.Error("an MTU of a megabyte was accepted")
			}
		})
	})
}

func TestPersistentTAP(t *testing.T) {
	needTun(t)
	ns := newNamespace(t)
	ns.do(func() {
		if err := tuntap.CreatePersistent("tap-p", 65534); err != nil {
			t.Error(err)
			return
		}
		out, _ := exec.Command("ip", "-d", "link", "show", "tap-p").CombinedOutput()
		if !bytes.Contains(out, []byte("persist on")) || !bytes.Contains(out, []byte("user ")) || bytes.Contains(out, []byte("nobody group")) {
			t.Errorf("ip shows\n%s", out)
		}
		if err := tuntap.CreatePersistent("tap-p", -1); !errors.Is(err, tuntap.ErrBusy) {
			t.Errorf("creating it again: %v", err)
		}
		// Opening and closing it, on either path, leaves it and hands no
		// offload on to the next.
		for _, offload := range []bool{true, false, true} {
			tap, err := tuntap.OpenTAP(tuntap.TAPConfig{Name: "tap-p", Offload: offload, Up: true, MTU: 1400})
			if err != nil {
				t.Error(err)
				return
			}
			if in := tap.Info(); in.MTU != 1400 || (in.Caps != 0) != offload {
				t.Errorf("Info %+v", in)
			}
			if err := tuntap.Remove("tap-p"); !errors.Is(err, tuntap.ErrBusy) {
				t.Errorf("removing a TAP that is held: %v", err)
			}
			out, _ := exec.Command("ethtool", "-k", "tap-p").Output()
			if on := bytes.Contains(out, []byte("tcp-segmentation-offload: on")); len(out) > 0 && on != offload {
				t.Errorf("offload %v: segmentation offload on: %v", offload, on)
			}
			tap.Close()
		}
		if err := tuntap.Remove("tap-p"); err != nil {
			t.Error(err)
		}
		if err := tuntap.Remove("tap-p"); !errors.Is(err, tuntap.ErrNoInterface) {
			t.Errorf("removing it again: %v", err)
		}
	})
}
