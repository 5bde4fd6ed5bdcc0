package stack_test

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/checksum"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// mangle makes a frame for dst that is likely to get far before it is refused:
// checksums are mostly right, the rest is not.
func mangle(rng *rand.Rand, dst ethernet.Addr, b []byte) []byte {
	n := rng.IntN(120)
	b = b[:14+20+n]
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	copy(b, dst[:])
	copy(b[6:], rawMAC[:])
	if rng.IntN(16) == 0 { // anything, of any length
		return b[:rng.IntN(len(b))]
	}
	binary.BigEndian.PutUint16(b[12:], uint16(ethernet.TypeIPv4))
	ip := b[14:]
	ip[0] = 0x45
	if rng.IntN(8) == 0 {
		ip[0] = 0x40 | byte(rng.IntN(16))
	}
	binary.BigEndian.PutUint16(ip[2:], uint16(20+n))
	if rng.IntN(4) > 0 {
		ip[6], ip[7] = 0, 0
	} else {
		ip[4] = 0 // fragments of few datagrams
		ip[6] &= 0x20
		ip[7] &= 7
	}
	ip[9] = [...]byte{1, 6, 6, 6, 17, 17, 2, 250}[rng.IntN(8)]
	copy(ip[12:], []byte{10, 0, 0, 9, 10, 0, 0, 1})
	hlen := min(max(int(ip[0]&15)*4, 20), len(ip))
	body := ip[hlen:]
	if len(body) >= 20 && ip[9] == 6 {
		binary.BigEndian.PutUint16(body[2:], []uint16{80, 81}[rng.IntN(2)])
		body[12] = 0x50 | body[12]&0x30
		body[16], body[17] = 0, 0
		binary.BigEndian.PutUint16(body[16:], checksum.Checksum(checksum.Sum(body, checksum.Pseudo(addr(9), addr(1), 6, len(body)))))
	}
	if len(body) >= 8 && ip[9] == 17 {
		binary.BigEndian.PutUint16(body[2:], []uint16{53, 54}[rng.IntN(2)])
		binary.BigEndian.PutUint16(body[4:], uint16(len(body)))
		body[6], body[7] = 0, 0
	}
	if len(body) >= 8 && ip[9] == 1 {
		body[0] = byte(rng.IntN(20))
		body[2], body[3] = 0, 0
		binary.BigEndian.PutUint16(body[2:], checksum.Checksum(checksum.Sum(body, 0)))
	}
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], checksum.Checksum(checksum.Sum(ip[:hlen], 0)))
	return b
}

// A million malformed and hostile frames: the loop goes on, an existing
// connection goes on, memory stays inside its bounds, and each frame is
// counted somewhere.
func TestMillionFrames(t *testing.T) {
	total := 1_000_000
	if raceOn || testing.Short() {
		total = 100_000
	}
	rawTest(t, "mangled", func(t *testing.T, r *raw) {
		s := r.stacks[0]
		ln, err := s.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		u := listenUDP(t, s, ":53")
		go func() {
			buf := make([]byte, 2000)
			for {
				if _, _, err := u.ReadFrom(buf); err != nil {
					return
				}
			}
		}()
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() { io.Copy(c, c); c.Close() }()
			}
		}()
		c, err := s.Dial("tcp", "10.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		frames := make([]link.Frame, 64)
		storage := make([][160]byte, len(frames))
		sink := make([]link.Frame, 64)
		for n := 0; n < total; n += len(frames) {
			for i := range frames {
				frames[i] = link.Frame{Head: mangle(rng, r.mac, storage[i][:])}
			}
			for sent := 0; sent < len(frames); {
				k, err := r.dev.WriteFrames(frames[sent:])
				if sent += k; err != nil {
					sent++
				}
			}
			synctest.Wait()
			for {
				if k, _ := r.dev.ReadFrames(sink); k == 0 {
					break
				}
			}
			if n%4096 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		if _, err := io.WriteString(c, "still there?"); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 12)
		if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "still there?" {
			t.Errorf("%q, %v", buf, err)
		}
		c.Close()
		st := s.Stats()
		if st.Frames.In < uint64(total)*9/10 {
			t.Errorf("only %d frames arrived", st.Frames.In)
		}
		for name, n := range map[string]uint64{
			"malformed IP": st.IP.Short + st.IP.BadVersion + st.IP.BadHeaderLen + st.IP.InTruncatedPkts, "bad options": st.IP.BadOptions,
			"overlaps": st.IP.FragmentOverlaps, "malformed UDP or no port": st.UDP.Short + st.UDP.BadLength + st.UDP.NoPorts,
			"malformed TCP": st.TCP.Short + st.TCP.BadDataOffset + st.TCP.BadPort, "no listener": st.TCP.NoListener, "unknown protocol": st.IP.InUnknownProtos,
			"ICMP ignored": st.ICMP.Ignored, "ICMP malformed": st.ICMP.InErrors, "rate-limited": st.ICMP.Limited,
		} {
			if n == 0 {
				t.Errorf("nothing counted as %s", name)
			}
		}
		ip := &st.IP
		if got := ip.InHdrErrors + ip.InTruncatedPkts + ip.InAddrErrors + ip.InForwDatagrams + ip.ReasmReqds + ip.InDelivers + ip.InUnknownProtos - ip.ReasmOKs; ip.InReceives != got {
			t.Errorf("%d in, %d accounted for: %+v", ip.InReceives, got, st)
		}
		u.Close()
		ln.Close()
	})
}

// RFC 5722's rule, from the wire.
//
//rfc:5722 counted
func TestOverlapFromTheWire(t *testing.T) {
	rawTest(t, "overlap", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		h, body := udpPacket(addrPort(9, 1), addrPort(1, 9), make([]byte, 100))
		send := func(off, end int, id uint16) {
			f := h
			f.ID, f.Offset, f.MF = id, uint16(off), end < len(body)
			r.ip(f, nil, body[off:end])
		}
		send(0, 64, 1)
		send(56, len(body), 1)
		send(64, len(body), 1)
		if st := r.stats(); st.IP.FragmentOverlaps != 2 || st.IP.ReasmOKs != 0 {
			t.Errorf("%+v", st)
		}
		send(64, len(body), 2)
		send(0, 64, 2)
		buf := make([]byte, 200)
		if n, _, err := u.ReadFrom(buf); n != 100 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// A flood of SYNs that nobody completes: memory stays inside the backlog, what
// comes on top is answered by cookies, and a peer that exists gets through with
// all its options (RFC 4987).
func TestSYNFlood(t *testing.T) {
	rawTest(t, "from nowhere", func(t *testing.T, r *raw) {
		s := r.stacks[0]
		ln, err := (&stack.ListenConfig{Backlog: 64}).Listen(s, "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		p := port(t, r.sw, vnet.PortConfig{Name: "peer", Ingress: vnet.Impairment{Delay: time.Millisecond}})
		r.neighbors[addr(2)] = p.Info().Addr
		peer := stack.New(stack.Config{})
		defer peer.Close()
		add(t, peer, stack.InterfaceConfig{Device: p, Resolver: r.neighbors, Addresses: []netip.Prefix{netip.PrefixFrom(addr(2), 24)}})
		flood := func(n int) {
			for i := range n {
				seg := tcp.Segment{SrcPort: uint16(1024 + i), DstPort: 80, Seq: tcp.Seq(i), Flags: tcp.SYN, Window: 1000}
				b := seg.AppendHeader(nil)
				sum := checksum.Checksum(checksum.Sum(b, checksum.Pseudo(addr(9), addr(1), 6, len(b))))
				binary.BigEndian.PutUint16(b[tcp.ChecksumOffset:], sum)
				r.ip(ipv4.Header{Proto: ipv4.ProtoTCP, Src: addr(9), Dst: addr(1)}, nil, b)
			}
		}
		flood(5000)
		if n, st := len(s.Conns()), s.Stats(); n != 64 || st.TCP.CookiesSent != 5000-64 {
			t.Errorf("%d connections are being opened, %d cookies sent", n, st.TCP.CookiesSent)
		}
		go io.Copy(io.Discard, readerOf(ln))
		result := make(chan error, 1)
		go func() {
			c, err := peer.Dial("tcp", "10.0.0.1:80")
			if err == nil {
				_, err = io.WriteString(c, "hello")
			}
			result <- err
		}()
		for range 10 {
			flood(10)
			time.Sleep(300 * time.Microsecond)
		}
		if err := <-result; err != nil {
			t.Error(err)
		}
		if c := s.Conns(); s.Stats().TCP.CookiesUsed != 1 || !slices.ContainsFunc(c, func(c stack.ConnInfo) bool {
			return c.State == tcp.Established && c.SACK && c.Timestamps && c.SndScale > 0
		}) {
			t.Errorf("the cookie opened no connection with all options: %+v", s.Stats())
		}
		time.Sleep(3 * time.Minute)
		if n := len(s.Conns()); n != 1 {
			t.Errorf("%d connections are left, want the one that is open", n)
		}
		ln.Close()
	})
}

// readerOf reads what the first connection brings.
func readerOf(ln net.Listener) io.Reader {
	r, w := io.Pipe()
	go func() {
		c, err := ln.Accept()
		if err == nil {
			_, err = io.Copy(w, c)
		}
		w.CloseWithError(err)
	}()
	return r
}
