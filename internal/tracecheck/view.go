package tracecheck

import (
	"time"

	"arpeggio/stack/tcp"
)

// input is a segment that has arrived, without its text, and what the host had
// said when it did.
type input struct {
	at, clock time.Duration // without and with jumps of the clock
	index     int
	seg       tcp.Segment
	n         int64 // octets of text
	edge      int64 // right edge that the host had advertised
	sent      int64 // SND.NXT
	acked     int64 // Last.ACK.sent
}

// view is what the host has taken in, in the RFC's terms. Where the
// specification leaves open whether a segment is taken, the least view leaves it.
type view struct {
	c        *Checker
	least    bool
	una, nxt int64 // SND.UNA and RCV.NXT; zero before the handshake
	wl1, wl2 int64
	wnd      int64 // SND.WND
	edge     int64 // right edge of the peer's window
	maxWnd   int64
	got      spans // text out of order
	fin      int64
	ts       uint32
	tsAt     time.Duration
	reset    bool
}

func newView(c *Checker, least bool) view { return view{c: c, least: least, fin: -1} }

// result says what became of a segment.
type result struct {
	dropped   bool // for its timestamp or its acknowledgment
	odd       bool // answered at a limited rate: SYN or reset in the window
	outside   bool // it takes numbers, and none of them was new and in the window
	moved     int64
	early     bool // new text behind a gap
	filled    bool // new text in front of some
	from, to  int64
	advanced  bool // SND.UNA moved
	opened    bool // a closed window opened
	duplicate bool // a pure acknowledgment of SND.UNA again
}

// over reports whether both directions are closed and acknowledged.
func (v *view) over() bool {
	return v.c.out.fin >= 0 && v.una > v.c.out.fin && v.fin >= 0 && v.nxt > v.fin
}

// take is RFC 9293 §3.10.7 with RFC 5961 and RFC 7323, as an outsider can tell.
func (v *view) take(in *input) (r result) {
	c, s := v.c, &in.seg
	if !c.in.open || v.reset {
		return result{dropped: true}
	}
	if s.Flags&tcp.SYN != 0 && s.Flags&tcp.RST == 0 && s.Seq == c.in.iss && (v.nxt == 0 || v.una == 0) {
		v.takeSYN(in)
		in.n = 0 // text of a SYN may be taken or left; it comes again
		return r
	}
	if v.nxt == 0 {
		return result{dropped: true}
	}
	seq := c.in.rel(s.Seq, v.nxt)
	edge := max(in.edge, v.nxt)
	if s.Flags&tcp.RST != 0 {
		switch {
		case v.over():
		case seq == v.nxt && !(v.least && v.c.cfg.MayDrop && seq != in.acked):
			v.reset = true
		case seq > v.nxt && seq < edge:
			r.odd = true
		}
		r.dropped = true
		return r
	}
	if v.drops(in, seq) {
		n, syn := s.Len()+int(in.n), s.Flags&tcp.SYN != 0
		return result{dropped: true, outside: n > 0 && !syn, odd: n == 0 || syn}
	}
	n := int64(s.Len()) + in.n // the text itself is not kept
	left := v.nxt
	if c.cfg.MayDrop { // what it dropped is new to it
		left = min(left, in.acked)
	}
	if !(seq == left || n == 0 && seq > left && seq <= edge || n > 0 && edge > left && seq+n > left && seq < edge) {
		return result{dropped: true, outside: n > 0 && s.Flags&tcp.SYN == 0, odd: n == 0 || s.Flags&tcp.SYN != 0}
	}
	if s.Flags&tcp.SYN != 0 {
		return result{dropped: true, odd: true}
	}
	if s.Flags&tcp.ACK == 0 {
		return result{dropped: true}
	}
	if !v.takeAck(in, seq, &r) {
		return result{dropped: true, odd: true} // its timestamp may be believed, or not
	}
	v.takeTimestamp(in, seq)
	v.takeText(in, seq, edge, &r)
	return r
}

// takeSYN learns of the peer's SYN.
func (v *view) takeSYN(in *input) {
	s := &in.seg
	v.nxt = max(v.nxt, 1)
	if s.Flags&tcp.ACK != 0 && v.c.out.rel(s.Ack, 1) == 1 && in.sent >= 1 {
		v.una = max(v.una, 1)
	}
	v.wl1, v.wl2 = 0, v.una
	v.wnd = int64(s.Window)
	v.edge, v.maxWnd = 1+v.wnd, max(v.maxWnd, v.wnd)
	ack := v.c.out.rel(s.Ack, 1)
	if s.Options.HasTimestamps && (s.Flags&tcp.ACK == 0 || ack >= 1 && ack <= in.sent) {
		v.ts, v.tsAt = s.Options.TSVal, in.clock
	}
}

// drops is the test of RFC 7323 §5.3.
func (v *view) drops(in *input, seq int64) bool {
	o := &in.seg.Options
	if !v.c.timestamps() {
		return false
	}
	if !o.HasTimestamps {
		return v.least // SHOULD
	}
	old := int32(o.TSVal-v.ts) < 0 && in.clock-v.tsAt < 24*24*time.Hour
	return old && (v.least || v.c.cfg.Slack == 0 && !v.c.cfg.MayDrop)
}

// takeTimestamp is RFC 7323 §4.3.
func (v *view) takeTimestamp(in *input, seq int64) {
	o := &in.seg.Options
	if v.least && v.c.cfg.MayDrop && seq < v.nxt {
		return
	}
	if o.HasTimestamps && seq <= in.acked && (int32(o.TSVal-v.ts) >= 0 || in.clock-v.tsAt >= 24*24*time.Hour) {
		v.ts, v.tsAt = o.TSVal, in.clock
	}
}

// takeAck is the fifth step; it reports false when the segment is dropped there.
func (v *view) takeAck(in *input, seq int64, r *result) bool {
	s := &in.seg
	ack := v.c.out.rel(s.Ack, v.una)
	if ack > in.sent || v.una == 0 && ack < 1 || ack < v.una-v.maxWnd {
		return false
	}
	wnd := int64(s.Window) << v.c.scale(&v.c.in)
	r.advanced = ack > v.una
	r.duplicate = ack == v.una && s.Len()+int(in.n) == 0 && v.edge == ack+wnd
	v.una = max(v.una, ack)
	switch {
	case ack < v.una:
	case v.wl1 < seq || v.wl1 == seq && v.wl2 <= ack:
		r.opened = v.wnd == 0 && wnd > 0
		v.wl1, v.wl2, v.wnd, v.edge = seq, ack, wnd, ack+wnd
		v.maxWnd = max(v.maxWnd, wnd)
	case r.advanced:
		// By the letter of the RFC SND.WND stays, and with it the window goes
		// beyond what the peer has offered; but the acknowledgment is news.
		v.edge = max(v.edge, ack+wnd)
		v.wnd, v.maxWnd = max(0, v.edge-v.una), max(v.maxWnd, wnd)
	}
	return true
}

// takeText is the seventh and the eighth step.
func (v *view) takeText(in *input, seq, edge int64, r *result) {
	r.from, r.to = max(seq, v.nxt), min(seq+in.n, edge)
	if v.fin >= 0 {
		r.to = min(r.to, v.fin)
	}
	was, waiting := v.nxt, len(v.got) > 0
	if r.from < r.to {
		_, had := v.got.holding(r.from, r.to)
		v.got.add(r.from, r.to)
		r.early = r.from > v.nxt && !had
		if v.got[0].from <= v.nxt {
			v.nxt = v.got[0].to
			v.got.trim(v.nxt)
		}
		r.filled = waiting && v.nxt > was
	}
	if end := seq + in.n; in.seg.Flags&tcp.FIN != 0 && v.fin < 0 && end <= edge && end >= v.nxt {
		v.fin = end
	}
	if v.nxt == v.fin {
		v.nxt++
	}
	r.moved = v.nxt - was
	// Text behind a FIN "should not occur" and is ignored without a word.
	r.outside = r.moved == 0 && !r.early && in.n > 0 && (v.fin < 0 || seq+in.n <= v.nxt)
}
