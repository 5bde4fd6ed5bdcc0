package tcp

import (
	"testing"
	"time"
)

// FuzzMachine throws segments and user calls at a machine in a chosen state:
// nothing panics or loops, the invariants hold, emitted segments fit, and every
// reference is released exactly once.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{1, 7, 0x10, 1, 1, 50, 0xff, 8, 0, 200, 9, 0, 100})
	f.Add([]byte{2, 15, 0x11, 1, 2, 0, 0, 10, 0, 0, 8, 1, 1, 0x14, 1, 1, 3, 3})
	f.Add([]byte{9, 31, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Fuzz(fuzzMachine)
}

func fuzzMachine(t *testing.T, in []byte) {
	next := func() int {
		if len(in) == 0 {
			return 0
		}
		b := in[0]
		in = in[1:]
		return int(b)
	}
	if len(in) > 2000 {
		return
	}
	which, opts := next(), next()
	p := fuzzStart(t, which, opts)
	refs := 0
	for len(in) > 0 {
		switch op := next() % 16; op {
		case 8:
			if n := next(); n%8 == 0 {
				_, _ = p.c.WriteUrgent(text(0, n*40))
			} else {
				_, _ = p.c.Write(text(0, n*40))
			}
		case 9:
			_, _ = p.c.Read(make([]byte, next()*40))
		case 10:
			p.now = p.now.Add(time.Duration(next()) * 20 * time.Millisecond)
		case 11:
			if at := p.c.Deadline(); at != 0 {
				p.now = max(p.now, at)
			}
		case 12:
			fuzzUser(p, next())
		case 13:
			if n, err := p.c.WriteRef(text(0, next()*300), func() { refs-- }); err == nil && n > 0 {
				refs++
			}
		case 14: // the device takes only a few
			room := next() % 4
			p.c.Output(p.now, p.gso, func(*Segment) bool { room--; return room >= 0 })
			checkInvariants(t, p.c)
		default:
			fuzzSegment(p, op, next)
		}
		if op := next(); op%4 != 0 {
			p.flush()
			p.out, p.segs = nil, nil
		}
		if n := p.c.pool.Counters.CurrEstab; n > 1 || n == 1 != p.c.state.opened() {
			t.Fatalf("%v counts as %d", p.c.state, n)
		}
		if refs < 0 {
			t.Fatal("released twice")
		}
	}
	p.c.Abort(p.now)
	p.flush()
	if refs != 0 || !p.c.Done() || p.c.Deadline() != 0 || p.c.sndq.head != nil {
		t.Fatalf("after Abort: %d references, done %v", refs, p.c.Done())
	}
}

func fuzzStart(t *testing.T, which, opts int) *script {
	var o []option
	for i, f := range []option{withSACK, withTimestamps, withScale(3), reno} {
		if opts>>i&1 != 0 {
			o = append(o, f)
		}
	}
	var p *script
	if which%(len(states)+1) == len(states) {
		p, _ = inSynSent(t, o...)
	} else {
		p = states[which%(len(states)+1)].make(t, o...)
	}
	if opts>>4&1 != 0 {
		p.gso = 8000
	}
	p.out = nil
	return p
}

// fuzzSegment makes a segment near the connection's numbers.
func fuzzSegment(p *script, op int, next func() int) {
	small := func() int { return int(int8(next())) * (1 + 99*(op&1)) }
	flags := Flags(next())
	if op&2 != 0 {
		flags = flags&(FIN|PSH) | ACK
	}
	s := Segment{Flags: flags, Seq: p.c.rcvNxt.Add(small()), Ack: p.c.sndNxt.Add(small()), Window: uint16(next() << 7), Payload: text(0, next()*20)}
	if p.ts {
		s.Options.HasTimestamps, s.Options.TSVal, s.Options.TSEcr = next()%16 != 0, p.c.tsRecent+uint32(next()-3), p.c.tsNow(p.now)-uint32(next())
	}
	for range next() % 4 {
		a := p.c.sndUna.Add(next() * 20)
		s.Options.SACK[s.Options.NSACK] = SACKBlock{a, a.Add(small())}
		s.Options.NSACK++
	}
	if next()%8 == 0 {
		s.Options.MSS, s.Options.SACKPermitted = uint16(next()*8), true
	}
	if s.Flags&URG != 0 {
		s.Urgent = uint16(next() * 40)
	}
	p.c.Input(p.now, &s)
	checkInvariants(p.t, p.c)
}

func fuzzUser(p *script, op int) {
	switch op % 11 {
	case 10:
		p.c.SetUrgentInline(op&16 != 0)
		_, _ = p.c.ReadUrgent(op&32 != 0)
	case 0:
		p.c.CloseWrite(p.now)
	case 1:
		p.c.CloseRead()
	case 2:
		p.c.Close(p.now)
	case 3:
		p.c.SetPathMSS(p.now, op*8)
	case 4:
		p.c.SetNoDelay(op&16 != 0)
	case 5:
		p.c.SetKeepAlive(p.now, KeepAlive{Idle: time.Duration(op) * time.Millisecond})
	case 6:
		p.c.SetUserTimeout(p.now, time.Duration(op)*100*time.Millisecond)
	case 7:
		p.c.HardError(ErrRefused)
	case 8:
		_, _ = p.c.Reopens(&Segment{Flags: SYN, Seq: p.c.rcvNxt}, true)
	case 9:
		_ = p.c.Info()
	}
}
