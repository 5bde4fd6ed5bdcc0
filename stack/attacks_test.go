package stack_test

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// What a host has to bear. Existing connections go on, memory stays inside its
// budget, and the counters say what was dropped and why. SYN floods, overlapping
// fragments, frames for others and a million malformed frames have tests of
// their own.
func TestUnderAttack(t *testing.T) {
	const mega = 1 << 20
	small := stack.Config{TCPMemory: 4 * mega}

	underAttack(t, "connection flood", stack.Config{MaxConns: 500}, 2*mega, func(t *testing.T, a *attack) {
		opened := 0
		for i := range 900 {
			if _, ok := a.open(uint16(2000+i), deafPort, 1000); ok {
				opened++
			}
		}
		if n := len(a.s.Conns()); n > 500 || opened < 490 {
			t.Errorf("%d connections, %d of the attacker's were opened, 500 are allowed", n, opened)
		}
		a.told(t, func(st *stack.Stats) map[string]uint64 {
			return map[string]uint64{"no room": st.TCP.BacklogFull + st.TCP.CookiesSent}
		})
	})
	underAttack(t, "peers that vanish", stack.Config{MaxConns: 300}, 2*mega+50*(64<<10), func(t *testing.T, a *attack) {
		for i := range 299 {
			c, ok := a.open(uint16(2000+i), echoPort, 1000)
			if !ok {
				t.Fatal("not opened")
			}
			a.tcp(addr(9), tcp.Segment{SrcPort: c.port, DstPort: c.to, Seq: c.snd, Ack: c.rcv, Flags: tcp.FIN | tcp.ACK, Window: 1000})
		} // nobody answers our FINs
		a.discard()
		for i := range 50 {
			c, ok := a.open(uint16(5000+i), echoPort, 1000)
			if !ok {
				t.Fatal("no room for a peer that exists")
			}
			c.send(0, 0, 1000, []byte("x")) // the answer to a cookie may have been lost
			if echoed := a.segments(); len(echoed) == 0 || string(echoed[len(echoed)-1].Payload) != "x" {
				t.Fatalf("peer %d is not served: %v", i, echoed)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.s.DialContext(ctx, "tcp", "10.0.0.9:80"); errors.Is(err, syscall.ENOBUFS) {
			t.Error("no room for a connection of our own")
		}
		if n := len(a.s.Conns()); n > 300 {
			t.Errorf("%d connections, 300 are allowed", n)
		}
		if n := a.s.Stats().TCP.OrphansReset; n != 51 {
			t.Errorf("%d connections made room, not 51", n)
		}
	})
	underAttack(t, "slow readers", small, 4*mega+200*(8<<10)+2*mega, func(t *testing.T, a *attack) {
		for i := range 200 {
			c, ok := a.open(uint16(2000+i), streamPort, 60_000)
			if !ok {
				t.Fatal("not opened")
			}
			c.send(0, 0, 0, nil) // and the window is closed, for ever
		}
		time.Sleep(10 * time.Second)
		a.told(t, func(st *stack.Stats) map[string]uint64 {
			return map[string]uint64{"timeouts": st.TCP.Timeouts + st.TCP.WindowProbes}
		})
		a.discard()
		a.goesOn(t)
		time.Sleep(10 * time.Minute) // nobody answers probes
		if n := len(a.s.Conns()); n > 1 {
			t.Errorf("%d connections are left", n)
		}
	})
	underAttack(t, "text that nobody reads", small, 4*mega+200*(8<<10)+2*mega, func(t *testing.T, a *attack) {
		text := make([]byte, 1400)
		for i := range 200 {
			c, _ := a.open(uint16(2000+i), deafPort, 60_000)
			for k := range 45 {
				c.send(k*len(text), 0, 60_000, text)
			}
			a.discard()
		}
		a.told(t, func(st *stack.Stats) map[string]uint64 {
			return map[string]uint64{"refused for lack of memory": st.TCP.TextRefused}
		})
	})
	underAttack(t, "tiny segments", small, 4*mega+mega, func(t *testing.T, a *attack) {
		for i := range 6 { // single octets, each behind a gap
			c, _ := a.open(uint16(2000+i), deafPort, 60_000)
			for k := range 2000 {
				c.send(10+k*20, 0, 60_000, []byte{1})
			}
			a.discard()
		}
		a.told(t, func(st *stack.Stats) map[string]uint64 {
			return map[string]uint64{"one hole too many, or no memory": st.TCP.TextScattered + st.TCP.TextRefused}
		})
	})
	underAttack(t, "tiny windows", small, mega, func(t *testing.T, a *attack) {
		c, _ := a.open(2000, streamPort, 60_000)
		got, sent := 0, 0
		for range 3000 { // 30 s of a reader who takes an octet at a time
			for _, s := range a.segments() {
				if end := s.Seq.Add(len(s.Payload)); end.After(c.rcv) && !s.Seq.After(c.rcv) {
					got += end.Sub(c.rcv)
					c.rcv = end
				}
				sent++
			}
			c.send(0, 0, 1, nil)
			time.Sleep(10 * time.Millisecond)
		}
		if got == 0 || sent > 600 {
			t.Errorf("%d segments for %d octets: the window is silly", sent, got)
		}
	})
	underAttack(t, "ACK storm", small, mega, func(t *testing.T, a *attack) {
		c, _ := a.open(2000, echoPort, 60_000)
		a.discard()
		answers := 0
		for range 1000 { // each answer is answered with something that asks for another
			c.send(1<<28, 0, 60_000, nil)
			answers += len(a.segments())
			time.Sleep(10 * time.Millisecond)
		}
		if answers > 115 { // ten a second
			t.Errorf("%d answers in 10 s", answers)
		}
		a.told(t, func(st *stack.Stats) map[string]uint64 {
			return map[string]uint64{"out of the window": st.TCP.OutOfWindow, "challenges spared": st.TCP.ChallengesSpared}
		})
	})
	underAttack(t, "optimistic ACKs", small, mega, func(t *testing.T, a *attack) {
		c, _ := a.open(2000, streamPort, 60_000)
		first := 0
		for _, s := range a.segments() {
			first += len(s.Payload)
		}
		if first == 0 {
			t.Fatal("nothing is sent")
		}
		more := 0
		for k := range 100 { // of what was never sent
			c.send(0, first+1+k*1000, 60_000, nil)
			for _, s := range a.segments() {
				more += len(s.Payload)
			}
		}
		if more > 0 {
			t.Errorf("%d octets were sent for acknowledgments of nothing", more)
		}
		a.told(t, func(st *stack.Stats) map[string]uint64 {
			return map[string]uint64{"bad acknowledgments": st.TCP.BadAcks}
		})
	})
	underAttack(t, "blind", small, mega, func(t *testing.T, a *attack) {
		for i := range 6000 { // of the honest peer's connection everything is known but the numbers
			seg := tcp.Segment{SrcPort: a.peerPort(), DstPort: echoPort, Seq: tcp.Seq(a.rng.Uint32()), Ack: tcp.Seq(a.rng.Uint32()), Window: 60_000}
			seg.Flags = []tcp.Flags{tcp.RST, tcp.RST | tcp.ACK, tcp.SYN, tcp.ACK, tcp.FIN | tcp.ACK, tcp.SYN | tcp.ACK}[i%6]
			seg.Options = tcp.Options{HasTimestamps: true, TSVal: a.rng.Uint32(), TSEcr: a.rng.Uint32()}
			if i%6 == 3 {
				seg.Payload = []byte("forged")
			}
			a.tcp(addr(2), seg)
			if i%1000 == 0 {
				time.Sleep(100 * time.Millisecond)
			}
		}
		a.told(t, func(st *stack.Stats) map[string]uint64 {
			return map[string]uint64{"out of the window": st.TCP.OutOfWindow, "old timestamps": st.TCP.OldTimestamps,
				"challenges": st.TCP.ChallengeAcks, "challenges spared": st.TCP.ChallengesSpared}
		})
	})
	underAttack(t, "fragment flood", small, 8*mega, func(t *testing.T, a *attack) {
		for i := range 8000 {
			src := addr(9).As4()
			src[3] = byte(3 + i%200)
			h := ipv4.Header{Proto: ipv4.ProtoUDP, ID: uint16(i), Src: addr(int(src[3])), Dst: addr(1), MF: true, Offset: uint16(i%3) * 1400}
			a.ip(h, nil, make([]byte, 1400))
		}
		a.told(t, func(st *stack.Stats) map[string]uint64 {
			return map[string]uint64{"datagrams that gave way": st.IP.FragmentEvicted}
		})
	})
	underAttack(t, "ICMP flood", small, mega, func(t *testing.T, a *attack) {
		for i := range 3000 {
			m := icmp.NewEcho(1, uint16(i), make([]byte, 1000))
			a.ip(ipv4.Header{Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(1)}, nil, m.AppendTo(nil))
			// The connection is said to be unreachable, and its path narrow.
			q := ipv4.Header{Proto: ipv4.ProtoTCP, Src: addr(1), Dst: addr(2), TTL: 64}
			seg := tcp.Segment{SrcPort: echoPort, DstPort: a.peerPort(), Seq: tcp.Seq(a.rng.Uint32()), Flags: tcp.ACK}
			b := seg.AppendHeader(nil)
			u := icmp.NewUnreachable([]uint8{icmp.CodePort, icmp.CodeProtocol, icmp.CodeFragNeeded}[i%3], append(q.AppendTo(nil, nil, len(b)), b...))
			a.ip(ipv4.Header{Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(1)}, nil, u.AppendTo(nil))
			h, body := udpPacket(addrPort(9, 1), addrPort(1, 9), []byte("x"))
			a.ip(h, nil, body)
			if i%64 == 0 {
				a.discard()
			}
		}
		a.told(t, func(st *stack.Stats) map[string]uint64 {
			return map[string]uint64{"echoes": st.ICMP.InEchos, "errors not believed": st.ICMP.Ignored + st.ICMP.BadQuote, "errors not sent": st.ICMP.Limited}
		})
	})
	underAttack(t, "runts and giants", small, mega, func(t *testing.T, a *attack) {
		dev := &careless{Device: port(t, a.sw, vnet.PortConfig{Name: "careless"})}
		add(t, a.s, stack.InterfaceConfig{Device: dev, Resolver: stack.StaticResolver{}, Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}})
		mac := dev.Info().Addr
		for i := range 2000 {
			h := ethernet.Header{Dst: mac, Src: rawMAC, Type: ethernet.TypeIPv4}
			b := append(h.AppendTo(nil), make([]byte, 8986)...)
			if i%2 == 0 {
				b = b[:i%14] // shorter than its header
			} else {
				b = b[:1515+i]
			}
			if dev.inject(b); i%50 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		a.told(t, func(st *stack.Stats) map[string]uint64 {
			return map[string]uint64{"runts": st.Frames.Runts, "giants": st.Frames.Giants}
		})
	})
}
