package tuntap_test

import (
	"net/netip"
	"testing"
	"time"

	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
	"arpeggio/tuntap"
)

// A TAP plugged into a switch: a station with and one without offloads talk to
// the kernel behind it, and the switch finishes what either side cannot take.
func TestTAPOnASwitch(t *testing.T) {
	bothWays(t, func(t *testing.T, tap *tuntap.TAP, ns *namespace) {
		sw := vnet.New(vnet.Config{})
		defer sw.Close()
		at, err := sw.Attach(tap, vnet.PortConfig{Name: "kernel"})
		if err != nil {
			t.Fatal(err)
		}
		defer at.Close()
		server := echoServer(t, ns)
		for _, offload := range []bool{false, true} {
			port, err := sw.Port(vnet.PortConfig{Name: "us", Offload: offload})
			if err != nil {
				t.Fatal(err)
			}
			p := newPeer(t, port)
			p.resolve()
			p.ping(1, []byte("through the switch"))
			exchange, want := p.exchange, offload && tap.Info().Caps.Has(link.CapGRO)
			if want {
				exchange = p.exchanges
			}
			longest := exchange(server, 30000)
			if !offload && longest > 1514 {
				t.Errorf("frame of %d octets on a port without offload", longest)
			}
			if want != (longest > 1514) {
				t.Errorf("offload %v: longest frame %d octets", offload, longest)
			}
			port.Close()
		}
		if st := at.Port().Stats(); st.Tx.Dropped[vnet.DropMalformed]+st.Rx.Dropped[vnet.DropMalformed]+st.Rx.Dropped[vnet.DropDevice] != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTAPAllocatesNothing(t *testing.T) {
	bothWays(t, func(t *testing.T, tap *tuntap.TAP, ns *namespace) {
		p := newPeer(t, tap)
		p.resolve()
		out := []link.Frame{{Head: testFrame(p.theirs, "x"), Payload: [][]byte{make([]byte, 100), make([]byte, 100)}}}
		in := make([]link.Frame, 4)
		for i := range in {
			in[i].Head = make([]byte, 0, 2048)
		}
		soon := time.Now().Add(-time.Second)
		if n := testing.AllocsPerRun(100, func() {
			tap.WriteFrames(out)
			tap.ReadFrames(in)
			tap.Wait(soon)
		}); n > 0 {
			t.Errorf("%v allocations for a frame", n)
		}
	})
}

func TestConfigure(t *testing.T) {
	needTun(t)
	ns := newNamespace(t)
	ns.do(func() {
		tap, err := tuntap.OpenTAP(tuntap.TAPConfig{Name: "tap-test"})
		if err != nil {
			t.Error(err)
			return
		}
		defer tap.Close()
		for _, s := range []string{"10.8.0.1/16", "10.9.0.1/24"} { // the second replaces the first
			if err := tuntap.Configure("tap-test", netip.MustParsePrefix(s)); err != nil {
				t.Error(err)
			}
		}
		p := newPeer(t, tap)
		p.resolve()
		if tuntap.Configure("tap-test", netip.MustParsePrefix("fd00::1/64")) == nil {
			t.Error("an IPv6 address was accepted")
		}
		if tuntap.Configure("tap-none", netip.MustParsePrefix("10.9.0.1/24")) == nil {
			t.Error("an interface that does not exist was accepted")
		}
	})
}
