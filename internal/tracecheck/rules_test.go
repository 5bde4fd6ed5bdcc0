package tracecheck

import (
	"slices"
	"testing"
	"time"

	"arpeggio/stack/tcp"
)

const (
	hostISS = 0xffff_ff00 // both wrap soon
	peerISS = 0x7fff_fff0
)

// trace is a conversation with numbers relative to the initial ones.
type trace struct {
	t      *testing.T
	c      *Checker
	now    time.Duration
	broken []Rule
}

func newTrace(t *testing.T, cfg Config) *trace {
	tr := &trace{t: t, now: time.Hour}
	cfg.Allow = func(v *Violation) bool {
		tr.broken = append(tr.broken, v.Rule)
		t.Log(v)
		return true
	}
	tr.c = New(cfg)
	return tr
}

// edit changes a segment before it passes.
type edit func(s *tcp.Segment)

func seg(src, dst uint16, flags tcp.Flags, seq, ack tcp.Seq, n int, edits []edit) *tcp.Segment {
	s := &tcp.Segment{SrcPort: src, DstPort: dst, Flags: flags, Seq: seq, Ack: ack, Window: 10_000}
	if flags&tcp.ACK == 0 {
		s.Ack = 0
	}
	for i := range n {
		s.Payload = append(s.Payload, byte(s.Seq.Add(i)))
	}
	for _, e := range edits {
		e(s)
	}
	return s
}

// out is a segment that the host sends, in one that it gets.
func (tr *trace) out(flags tcp.Flags, seq, ack, n int, edits ...edit) {
	_ = tr.c.Sent(tr.now, seg1(flags, hostISS, seq, peerISS, ack, n, edits))
}

func (tr *trace) in(flags tcp.Flags, seq, ack, n int, edits ...edit) {
	_ = tr.c.Received(tr.now, seg1(flags, peerISS, seq, hostISS, ack, n, edits))
}

func seg1(flags tcp.Flags, iss tcp.Seq, seq int, irs tcp.Seq, ack, n int, edits []edit) *tcp.Segment {
	return seg(1, 2, flags, iss.Add(seq), irs.Add(ack), n, edits)
}

func (tr *trace) wait(d time.Duration) { tr.now += d }

func mss(n uint16) edit     { return func(s *tcp.Segment) { s.Options.MSS = n } }
func win(n uint16) edit     { return func(s *tcp.Segment) { s.Window = n } }
func mark(m uint8) edit     { return func(s *tcp.Segment) { s.Mark = m } }
func sackOK(s *tcp.Segment) { s.Options.SACKPermitted = true }
func scale(s *tcp.Segment)  { s.Options.HasWindowScale, s.Options.WindowScale = true, 3 }
func text(b string) edit    { return func(s *tcp.Segment) { s.Payload = []byte(b) } }
func urgent(n uint16) edit  { return func(s *tcp.Segment) { s.Flags |= tcp.URG; s.Urgent = n } }
func ts(val, ecr uint32) edit {
	return func(s *tcp.Segment) {
		s.Options.HasTimestamps, s.Options.TSVal, s.Options.TSEcr = true, val, ecr
	}
}

// sack adds a block of the other side's numbers.
func sack(iss tcp.Seq, from, to int) edit {
	return func(s *tcp.Segment) {
		o := &s.Options
		o.SACK[o.NSACK] = tcp.SACKBlock{Start: iss.Add(from), End: iss.Add(to)}
		o.NSACK++
	}
}

const (
	S = tcp.SYN
	A = tcp.ACK
	F = tcp.FIN
	R = tcp.RST
)

// open is a handshake that the host begins, with the same options on both SYNs.
func (tr *trace) open(edits ...edit) {
	edits = append([]edit{mss(100)}, edits...)
	tr.out(S, 0, 0, 0, edits...)
	tr.in(S|A, 0, 1, 0, edits...)
	tr.out(A, 1, 1, 0)
}

// openTS is open with timestamps: both clocks begin at 1000 now.
func (tr *trace) openTS() {
	tr.out(S, 0, 0, 0, mss(100), ts(1000, 0))
	tr.in(S|A, 0, 1, 0, mss(100), ts(1000, 1000))
	tr.out(A, 1, 1, 0, ts(1000, 1000))
}

// openECN is open with congestion notification.
func (tr *trace) openECN() {
	tr.out(S|tcp.ECE|tcp.CWR, 0, 0, 0, mss(100))
	tr.in(S|A|tcp.ECE, 0, 1, 0, mss(100))
	tr.out(A, 1, 1, 0)
}

// closed is a connection that both sides have closed, the host first.
func (tr *trace) closed() {
	tr.open()
	tr.out(F|A, 1, 1, 0)
	tr.in(A, 1, 2, 0)
	tr.in(F|A, 1, 2, 0)
	tr.out(A, 2, 2, 0)
}

// breaches break one rule each. What leads up to it is allowed.
var breaches = map[Rule]func(tr *trace){
	Flags:   func(tr *trace) { tr.out(S|F, 0, 0, 0) },
	NoACK:   func(tr *trace) { tr.open(); tr.out(0, 1, 1, 10) },
	NotOpen: func(tr *trace) { tr.out(A, 0, 0, 0) },
	SameISS: func(tr *trace) { tr.out(S, 0, 0, 0); tr.wait(time.Second); tr.out(S, 7, 0, 0) },
	Early: func(tr *trace) {
		tr.in(S, 0, 0, 0, mss(100))
		tr.out(S|A, 0, 1, 0, mss(100))
		tr.out(A, 1, 1, 10)
	},
	LateSYN:    func(tr *trace) { tr.open(); tr.wait(time.Second); tr.out(S|A, 0, 1, 0, mss(100)) },
	AfterReset: func(tr *trace) { tr.open(); tr.in(R, 1, 0, 0); tr.out(A, 1, 1, 0) },
	AfterClose: func(tr *trace) {
		tr.closed()
		tr.in(F|A, 1, 2, 0) // again, and answered again
		tr.out(A, 2, 2, 0)
		tr.wait(time.Second)
		tr.out(A, 2, 2, 0)
	},
	AckAhead: func(tr *trace) { tr.open(); tr.in(A, 1, 1, 100); tr.out(A, 1, 102, 0, win(9899)) },
	AckBack: func(tr *trace) {
		tr.open(sackOK)
		tr.in(A, 1, 1, 100)
		tr.out(A, 1, 101, 0)
		tr.c.cfg.MayDrop = true
		tr.out(A, 1, 51, 0)
	},
	AckBehind: func(tr *trace) { tr.open(); tr.in(A, 1, 1, 100); tr.out(A, 1, 51, 0) },
	AckDelay:  func(tr *trace) { tr.open(); tr.in(A, 1, 1, 100); tr.wait(501 * time.Millisecond); tr.out(A, 1, 101, 0) },
	AckSecond: func(tr *trace) {
		tr.open()
		tr.in(A, 1, 1, 100)
		tr.in(A, 101, 1, 100)
		tr.wait(time.Millisecond)
		tr.out(A, 1, 201, 0)
	},
	AckGap: func(tr *trace) { tr.open(); tr.in(A, 101, 1, 100); tr.wait(time.Millisecond); tr.out(A, 1, 1, 0) },
	AckUnacceptable: func(tr *trace) {
		tr.open()
		tr.in(A, 1, 1, 100)
		tr.out(A, 1, 101, 0)
		tr.in(A, 1, 1, 100)
		tr.wait(time.Millisecond)
		tr.out(A, 1, 101, 0)
	},
	Challenge:   func(tr *trace) { tr.open(); tr.in(R, 5, 0, 0); tr.wait(time.Millisecond); tr.out(A, 1, 1, 0) },
	Shrink:      func(tr *trace) { tr.open(); tr.out(A, 1, 1, 0, win(9_999)) },
	SillyWindow: func(tr *trace) { tr.closeWindow(); tr.out(A, 1, 10_001, 0, win(99)) },
	SeqAhead:    func(tr *trace) { tr.open(); tr.out(A, 2, 1, 10) },
	SeqBehind: func(tr *trace) {
		tr.open()
		tr.out(A, 1, 1, 100)
		tr.in(A, 1, 101, 0)
		tr.wait(time.Second)
		tr.out(A, 1, 1, 100)
	},
	BeyondWindow: func(tr *trace) {
		tr.open()
		tr.in(A, 1, 1, 0, win(50))
		tr.out(A, 1, 1, 52)
	},
	BeyondFIN: func(tr *trace) { tr.open(); tr.out(F|A, 1, 1, 10); tr.out(A, 12, 1, 10) },
	SameText: func(tr *trace) {
		tr.open()
		tr.out(A, 1, 1, 0, text("one"))
		tr.wait(time.Second)
		tr.out(A, 1, 1, 0, text("two"))
	},
	TooBig:           func(tr *trace) { tr.open(); tr.out(A, 1, 1, 101) },
	OptionPlace:      func(tr *trace) { tr.open(); tr.out(A, 1, 1, 0, mss(100)) },
	OptionOffer:      func(tr *trace) { tr.in(S, 0, 0, 0); tr.out(S|A, 0, 1, 0, scale) },
	TimestampsAgreed: func(tr *trace) { tr.openTS(); tr.out(A, 1, 1, 10) },
	TimestampClock: func(tr *trace) {
		tr.openTS()
		tr.wait(10 * time.Millisecond)
		tr.out(A, 1, 1, 10, ts(1100, 1000))
	},
	TimestampEcho: func(tr *trace) {
		tr.openTS()
		tr.in(A, 1, 1, 100, ts(1001, 1000))
		tr.in(A, 101, 1, 100, ts(1002, 1000))
		tr.out(A, 1, 201, 0, ts(1000, 1002))
	},
	SackAgreed: func(tr *trace) { tr.open(); tr.in(A, 101, 1, 100); tr.out(A, 1, 1, 0, sack(peerISS, 101, 201)) },
	SackReceived: func(tr *trace) {
		tr.open(sackOK)
		tr.in(A, 101, 1, 100)
		tr.out(A, 1, 1, 0, sack(peerISS, 101, 202))
	},
	SackDuplicate: func(tr *trace) {
		tr.open(sackOK)
		tr.in(A, 1, 1, 100)
		tr.out(A, 1, 101, 0, sack(peerISS, 1, 101))
	},
	SackStale: func(tr *trace) {
		tr.open(sackOK)
		tr.in(A|F, 101, 1, 100)
		tr.out(A, 1, 1, 0, sack(peerISS, 101, 202))
		tr.in(A, 1, 1, 100)
		tr.out(A, 1, 202, 0, sack(peerISS, 101, 202))
	},
	SackFirst: func(tr *trace) {
		tr.open(sackOK)
		tr.in(A, 101, 1, 100)
		tr.out(A, 1, 1, 0, sack(peerISS, 101, 201))
		tr.in(A, 301, 1, 100)
		tr.out(A, 1, 1, 0, sack(peerISS, 101, 201), sack(peerISS, 301, 401))
	},
	SackMissing: func(tr *trace) { tr.open(sackOK); tr.in(A, 101, 1, 100); tr.out(A, 1, 1, 0) },
	EarlyTimeout: func(tr *trace) {
		tr.open()
		tr.out(A, 1, 1, 100)
		tr.wait(150 * time.Millisecond)
		tr.out(A, 1, 1, 100)
	},
	BackOff: func(tr *trace) {
		tr.open()
		tr.out(A, 1, 1, 100)
		for _, d := range []time.Duration{300, 600, 600} {
			tr.wait(d * time.Millisecond)
			tr.out(A, 1, 1, 100)
		}
	},
	LossWindow: func(tr *trace) {
		tr.open()
		tr.out(A, 1, 1, 100)
		tr.out(A, 101, 1, 100)
		tr.wait(time.Second)
		tr.out(A, 1, 1, 100)
		tr.out(A, 101, 1, 100)
	},
	TooMuch: func(tr *trace) {
		tr.open()
		for i := range 14 { // ten, and three for special occasions
			tr.out(A, 1+i*100, 1, 100)
		}
	},
	NoRetransmit: func(tr *trace) {
		tr.open()
		tr.out(A, 1, 1, 100)
		tr.wait(67 * time.Second)
		_ = tr.c.Close(tr.now)
	},
	ProbeInterval: func(tr *trace) {
		tr.open()
		tr.in(A, 1, 1, 0, win(0))
		for _, d := range []time.Duration{300, 600, 600} {
			tr.wait(d * time.Millisecond)
			tr.out(A, 1, 1, 1)
			tr.in(A, 1, 1, 0, win(0))
		}
	},
	ResetNumbers: func(tr *trace) { tr.open(); tr.out(R|A, 2, 1, 0) },
	ResetUnasked: func(tr *trace) { tr.open(); tr.in(R, 1, 0, 0); tr.c.resets = 0; tr.out(R, 1, 0, 0) },
	EcnAgreed:    func(tr *trace) { tr.open(); tr.out(A, 1, 1, 10, mark(tcp.ECT0)) },
	EcnMark:      func(tr *trace) { tr.openECN(); tr.out(A, 1, 1, 0, mark(tcp.ECT0)) },
	EcnEcho:      func(tr *trace) { tr.openECN(); tr.in(A, 1, 1, 100, mark(tcp.CE)); tr.out(A, 1, 101, 0) },
	UrgentBack:   func(tr *trace) { tr.open(); tr.out(A, 1, 1, 10, urgent(20)); tr.out(A, 11, 1, 10, urgent(5)) },
}

// closeWindow fills the host's window.
func (tr *trace) closeWindow() {
	tr.open()
	for at := 1; at < 10_001; at += 100 {
		tr.in(A, at, 1, 100)
		tr.out(A, 1, at+100, 0, win(uint16(10_001-at-100)))
	}
}

// Each rule finds what breaks it, and no other rule does: none is vacuous.
func TestEachRule(t *testing.T) {
	for r := range rules {
		t.Run(r.String(), func(t *testing.T) {
			breach := breaches[r]
			if breach == nil || r.Clause() == "" {
				t.Fatal("no trace breaks it, or it has no source")
			}
			tr := newTrace(t, Config{})
			breach(tr)
			if !slices.Equal(tr.broken, []Rule{r}) {
				t.Errorf("broken: %v", tr.broken)
			}
		})
	}
}
