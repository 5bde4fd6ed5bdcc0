package stack_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/vnet"
)

// RFC 1191, hardened by RFC 5927: a router's word is believed only when it
// quotes what is in flight, and never below a floor.
//
//rfc:1191 no-increase
func TestPathMTU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{})
		defer l.close()
		c, s := l.connect()
		go io.Copy(io.Discard, s)
		router, err := l.sw.Port(vnet.PortConfig{Name: "raw", Addr: rawMAC})
		if err != nil {
			t.Fatal(err)
		}
		r := &raw{lan: l, dev: router, mac: l.ports[0].Info().Addr}
		var seen []byte
		stop := l.sw.Monitor(func(port string, frame []byte, _ time.Time) {
			if port == "host1" && len(frame) > 200 {
				seen = append(seen[:0], frame[14:]...)
			}
		})
		defer stop()
		report := func(mtu uint16, quote []byte) {
			m := icmp.NewFragNeeded(mtu, quote)
			r.ip(ipv4.Header{Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(1)}, nil, m.AppendTo(nil))
		}
		write := func() {
			if _, err := c.Write(make([]byte, 1460)); err != nil {
				t.Fatal(err)
			}
		}
		l.ports[1].SetImpairment(vnet.Egress, vnet.Impairment{MTU: 1400})
		write()
		synctest.Wait()
		stale := append([]byte(nil), seen...)
		stale[24] ^= 0x40 // another sequence number: not in flight
		if report(1400, stale); c.Info().SndMSS < 1440 {
			t.Fatalf("MSS %d: a stale quotation was believed", c.Info().SndMSS)
		}
		report(1400, seen)
		if mss := c.Info().SndMSS; mss > 1360 || mss < 1340 {
			t.Fatalf("MSS %d after an MTU of 1400", mss)
		}
		time.Sleep(time.Second)
		if q := c.Info().SendQueue; q != 0 {
			t.Errorf("%d octets are still not through", q)
		}
		// A new connection knows.
		ln, _ := l.stacks[1].Listen("tcp", ":80")
		defer ln.Close()
		d, err := l.stacks[0].Dial("tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		if mss := d.(*stack.TCPConn).Info().SndMSS; mss > 1360 {
			t.Errorf("a new connection starts with MSS %d", mss)
		}
		// Below the floor of 552 octets nobody is believed.
		l.ports[1].SetImpairment(vnet.Egress, vnet.Impairment{Loss: 1})
		write()
		synctest.Wait()
		// The path has carried more, so only a timeout makes it credible.
		if report(68, seen); c.Info().SndMSS < 1340 {
			t.Errorf("MSS %d: believed although segments arrive", c.Info().SndMSS)
		}
		time.Sleep(500 * time.Millisecond)
		if mss := c.Info().SndMSS; mss < 500 || mss > 512 {
			t.Errorf("MSS %d after an MTU of 68, want that of the floor", mss)
		}
		// And nobody who says that the path carries more.
		if report(1400, seen); c.Info().SndMSS > 512 {
			t.Errorf("MSS %d after an MTU of 1400", c.Info().SndMSS)
		}
		l.ports[1].SetImpairment(vnet.Egress, vnet.Impairment{})
		e, err := l.stacks[0].Dial("tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		if mss := e.(*stack.TCPConn).Info().SndMSS; mss > 512 {
			t.Errorf("a new connection starts with MSS %d after an MTU of 1400", mss)
		}
	})
}

// A message that quotes what is in flight, on a path that carries it, slows down
// nobody: not the connection, not another one, not the next (RFC 5927 §7.2).
func TestForgedPathMTU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{})
		defer l.close()
		l.ports[1].SetImpairment(vnet.Egress, vnet.Impairment{Delay: 50 * time.Millisecond})
		c, s := l.connect()
		go io.Copy(io.Discard, s)
		attacker, err := l.sw.Port(vnet.PortConfig{Name: "raw", Addr: rawMAC})
		if err != nil {
			t.Fatal(err)
		}
		r := &raw{lan: l, dev: attacker, mac: l.ports[0].Info().Addr}
		var seen []byte
		defer l.sw.Monitor(func(port string, frame []byte, _ time.Time) {
			if port == "host1" && len(frame) > 200 {
				seen = append(seen[:0], frame[14:]...)
			}
		})()
		for range 20 {
			if _, err := c.Write(make([]byte, 4000)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			if len(seen) > 0 && c.Info().BytesAcked > 0 {
				m := icmp.NewFragNeeded(600, seen)
				r.ip(ipv4.Header{Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(1)}, nil, m.AppendTo(nil))
			}
		}
		time.Sleep(10 * time.Second)
		if i := c.Info(); i.SndMSS < 1440 || i.SendQueue != 0 {
			t.Errorf("MSS %d, %d octets are not through", i.SndMSS, i.SendQueue)
		}
		ln, _ := l.stacks[1].Listen("tcp", ":80")
		defer ln.Close()
		d, err := l.stacks[0].Dial("tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		if mss := d.(*stack.TCPConn).Info().SndMSS; mss < 1440 {
			t.Errorf("a new connection starts with MSS %d", mss)
		}
	})
}
