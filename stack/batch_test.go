package stack_test

import (
	"syscall"
	"testing"
	"testing/synctest"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
)

// batch sends segments that the stack reads in one go.
func (r *raw) batch(segs ...tcp.Segment) {
	h := ethernet.Header{Dst: r.mac, Src: rawMAC, Type: ethernet.TypeIPv4}
	var frames []link.Frame
	for _, seg := range segs {
		frames = append(frames, link.Frame{Head: append(h.AppendTo(nil), tcpPacket(addr(9), addr(1), nil, seg)...)})
	}
	r.dev.WriteFrames(frames)
	synctest.Wait()
}

// A connection that ends makes room at once: a SYN from the same port that comes
// with the segment which ended it opens the next one. Clients do that with what
// they have reset, and after a server has closed first and they last.
func TestSynBehindTheEnd(t *testing.T) {
	again := func(port uint16) tcp.Segment {
		s := syn(port)
		s.Seq += 1 << 20
		return s
	}
	opens := func(t *testing.T, r *raw, want tcp.Segment) {
		t.Helper()
		_, segs := r.segments()
		if len(segs) != 1 || segs[0].Flags&^tcp.ECE != tcp.SYN|tcp.ACK || segs[0].Ack != want.Seq.Add(1) {
			t.Errorf("a SYN in one batch with the end is answered by %v", segs)
		}
	}
	rawTest(t, "reset", func(t *testing.T, r *raw) {
		ln := r.listen()
		synAck := r.open(5000)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		rst := ack(5000, synAck, 0, nil)
		rst.Flags = tcp.RST
		r.batch(rst, again(5000))
		opens(t, r, again(5000))
		_, err = c.Read(make([]byte, 1))
		wantErrno(t, err, "read", syscall.ECONNRESET)
	})
	rawTest(t, "reset before it is accepted", func(t *testing.T, r *raw) {
		r.listen()
		r.tcp(syn(5000))
		_, synAck := r.one()
		rst := ack(5000, synAck, 0, nil)
		rst.Flags = tcp.RST
		r.batch(ack(5000, synAck, 0, nil), rst, again(5000))
		opens(t, r, again(5000))
	})
	rawTest(t, "FIN that leads to TIME-WAIT", func(t *testing.T, r *raw) {
		ln := r.listen()
		r.open(5000)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		_, fin := r.one()
		last := ack(5000, fin, 0, nil)
		last.Flags |= tcp.FIN
		r.batch(last, again(5000))
		_, segs := r.segments()
		if len(segs) != 2 || segs[0].Ack != last.Seq.Add(1) || segs[0].Flags.Has(tcp.SYN) || !segs[1].Flags.Has(tcp.SYN) {
			t.Errorf("a FIN and a SYN in one batch are answered by %v", segs)
		}
	})
	rawTest(t, "last acknowledgment", func(t *testing.T, r *raw) {
		ln := r.listen()
		synAck := r.open(5000)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		fin := ack(5000, synAck, 0, nil)
		fin.Flags |= tcp.FIN
		r.tcp(fin)
		c.Close()
		_, segs := r.segments()
		if len(segs) == 0 || !segs[len(segs)-1].Flags.Has(tcp.FIN) {
			t.Fatalf("no FIN: %v", segs)
		}
		r.batch(ack(5000, segs[len(segs)-1], 1, nil), again(5000))
		opens(t, r, again(5000))
	})
}
