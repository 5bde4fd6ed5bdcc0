package tcp

import (
	"testing"
	"time"
)

// sendGigabytes has p's connection send more than 2^31 octets, which the peer
// acknowledges at once, and returns the number behind them.
func sendGigabytes(t *testing.T, p *script) (at int) {
	t.Helper()
	p.c.SetSendBuffer(1 << 30)
	at = 1
	text := make([]byte, 64<<20)
	for at < 1<<31+100 {
		if n, err := p.c.WriteRef(text, nil); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
		for end := at + len(text); at < end; {
			before := p.c.sndNxt
			p.c.Output(p.now, 65_000, func(*Segment) bool { return true })
			n := p.c.sndNxt.Sub(before)
			if n == 0 {
				t.Fatalf("nothing is sent at %d: %+v", at, p.c.Info())
			}
			at += n
			p.now = p.now.Add(time.Millisecond)
			ack := Segment{SrcPort: addrB.Port(), DstPort: addrA.Port(), Flags: ACK, Seq: p.c.rcvNxt, Ack: p.c.sndNxt, Window: 65535}
			p.c.Input(p.now, &ack)
		}
	}
	p.out = nil
	return at
}

// Fast retransmission without SACK works after 2^31 octets without a loss: the
// recovery point of old does not lie ahead then.
func TestFastRetransmitAfterWrap(t *testing.T) {
	p := inEstablished(t, withScale(8))
	at := sendGigabytes(t, p)
	p.c.win.Cwnd = 10_000
	p.write(8000)
	p.out = nil
	for range 3 {
		p.recv(ACK, 1, at, 0, func(s *Segment) { s.Window = 65535 })
	}
	if n := p.c.pool.Counters.Recoveries; n != 1 {
		t.Errorf("%d recoveries after three duplicates: %q", n, p.out)
	}
}

// So does the reaction to a congestion mark.
func TestMarkAfterWrap(t *testing.T) {
	p := inEstablished(t, withScale(8))
	p.c.ecn.ok, p.c.ecn.until = true, p.c.iss
	at := sendGigabytes(t, p)
	p.write(8000)
	before := p.c.win.Cwnd
	p.recv(ACK|ECE, 1, at+1000, 0, func(s *Segment) { s.Window = 65535 })
	if p.c.win.Cwnd >= before || p.c.marks != 1 {
		t.Errorf("window %d, before %d; %d marks", p.c.win.Cwnd, before, p.c.marks)
	}
}

// Nor is a partial segment kept back for one that was acknowledged 2^31 octets ago
// (Nagle's algorithm). What is sent are full segments only.
func TestNagleAfterTwoGiB(t *testing.T) {
	p := inEstablished(t, withScale(8))
	p.c.SetSendBuffer(1 << 30)
	text := make([]byte, p.c.win.MSS*40_000)
	for sent := 0; sent < 1<<31+100; {
		p.c.WriteRef(text, nil)
		for end := sent + len(text); sent < end; {
			before := p.c.sndNxt
			p.c.Output(p.now, 65_000, func(*Segment) bool { return true })
			n := p.c.sndNxt.Sub(before)
			if n == 0 {
				t.Fatalf("nothing more goes after %d octets", sent)
			}
			sent += n
			p.now = p.now.Add(time.Millisecond)
			p.c.Input(p.now, &Segment{SrcPort: addrB.Port(), DstPort: addrA.Port(), Flags: ACK, Seq: p.c.rcvNxt, Ack: p.c.sndNxt, Window: 65535})
		}
	}
	p.c.Write(make([]byte, 100))
	n := 0
	p.c.Output(p.now, 65_000, func(s *Segment) bool { n += s.DataLen(); return true })
	if n != 100 {
		t.Errorf("%d of 100 octets went with nothing in flight", n)
	}
}
