package stack_test

import (
	"encoding/binary"
	"io"
	"testing"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/checksum"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// fastWay is a path of 10 ms that swallows packets of more than mtu octets; 0 is
// none of them.
func (l *lan) fastWay(mtu int) {
	l.t.Helper()
	if err := l.ports[0].SetImpairment(vnet.Ingress, vnet.Impairment{Delay: 10 * time.Millisecond, MTU: mtu}); err != nil {
		l.t.Fatal(err)
	}
}

// The client keeps the server's cookie, forgets it when it is no good any more,
// and asks before it sends text.
//
//rfc:7413 cache forget
func TestRFC7413ClientsMemory(t *testing.T) { // §4.1.3, §4.2.1
	lanTest(t, "", 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}}, func(t *testing.T, l *lan) {
		ln := l.fastServer(10)
		defer ln.Close()
		l.asks(40 * time.Millisecond)
		l.asks(20 * time.Millisecond)
		ln.SetFastOpen(0)
		for range 3 {
			l.asks(40 * time.Millisecond)
		}
		st := l.stacks[0].Stats().TCP
		if st.FastOpenActive != 1 || st.FastOpenActiveFail != 1 {
			t.Errorf("text was taken %d times, and %d times not, want once each", st.FastOpenActive, st.FastOpenActiveFail)
		}
	})
}

// Where nothing answers a connection that tries Fast Open, the next ones begin the
// ordinary way for some time; so they do with a server whose cookie requests vanish.
//
//rfc:7413 negative pause
func TestRFC7413NegativeResponses(t *testing.T) { // §4.1.3.1, §4.2.1
	lanTest(t, "no answer", 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}}, func(t *testing.T, l *lan) {
		defer l.fastServer(10).Close()
		l.asks(40 * time.Millisecond)
		l.fastWay(30) // nothing
		if _, err := l.ask(); err == nil {
			t.Fatal("an answer")
		}
		time.Sleep(time.Minute)
		l.fastWay(76) // a SYN with cookie and text has 77 octets
		l.asks(40 * time.Millisecond)
		time.Sleep(time.Hour)
		l.asks(time.Second + 40*time.Millisecond)
	})
	lanTest(t, "requests", 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}}, func(t *testing.T, l *lan) {
		defer l.fastServer(10).Close()
		l.fastWay(60) // with a request it has 64
		for range 2 {
			l.asks(time.Second + 40*time.Millisecond)
		}
		l.asks(40 * time.Millisecond)
		if st := l.stacks[1].Stats().TCP; st.FastOpenCookieReqd != 0 {
			t.Errorf("%d requests", st.FastOpenCookieReqd)
		}
	})
}

// A listener that was not asked for Fast Open gives no cookie and heeds none; an
// option of a length that no cookie has, and one without SYN, is as good as none.
//
//rfc:7413 off-ignores invalid
func TestRFC7413Ignored(t *testing.T) { // §4.2, §4.1.1
	rawTest(t, "", func(t *testing.T, r *raw) {
		s := r.stacks[0]
		ln, err := (&stack.ListenConfig{FastOpen: 2}).Listen(s, "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		for name, opt := range map[string][]byte{"odd": {34, 7, 1, 2, 3, 4, 5, 1}, "short": {34, 4, 1, 2}} {
			if a := r.synWith(5000, opt, "hello"); a.Ack != 101 || a.Options.FastOpen {
				t.Errorf("%s: %v", name, &a)
			}
		}
		cookie := r.fastSyn(1000, tcp.FastOpenCookie{}, "").Options.Cookie
		ln.(*stack.TCPListener).SetFastOpen(0)
		for i, c := range []tcp.FastOpenCookie{{}, cookie} {
			a := r.fastSyn(1001+uint16(i), c, "hello")
			if a.Flags != tcp.SYN|tcp.ACK || a.Ack != 101 || a.Options.FastOpen {
				t.Errorf("%v: %v", c, &a)
			}
			if i > 0 {
				continue
			}
			r.segment(&tcp.Segment{SrcPort: 1001, DstPort: 80, Seq: 101, Ack: a.Seq.Add(1), Flags: tcp.ACK, Window: 1000,
				Options: tcp.Options{FastOpen: true, Cookie: cookie}}, "hello")
			c, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			b := make([]byte, 5)
			if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
				t.Errorf("%q, %v", b, err)
			}
			for _, p := range r.got() {
				if seg, _ := tcp.ParseSegment(p.body); seg.Options.FastOpen {
					t.Errorf("%v", &seg)
				}
			}
		}
		if st := r.stats().TCP; st.FastOpenPassive != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// synWith sends a SYN to port 80 with options that no codec would write, and
// returns the answer.
func (r *raw) synWith(port uint16, opts []byte, text string) tcp.Segment {
	r.t.Helper()
	b := (&tcp.Segment{SrcPort: port, DstPort: 80, Seq: 100, Flags: tcp.SYN, Window: 1000}).AppendHeader(nil)
	b[12] += byte(len(opts) / 4 << 4)
	b = append(append(b, opts...), text...)
	sum := checksum.Checksum(checksum.Sum(b, checksum.Pseudo(addr(9), addr(1), 6, len(b))))
	binary.BigEndian.PutUint16(b[tcp.ChecksumOffset:], sum)
	r.ip(ipv4.Header{Proto: ipv4.ProtoTCP, Src: addr(9), Dst: addr(1)}, nil, b)
	_, answer := r.one()
	return answer
}
