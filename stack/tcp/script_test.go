package tcp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// The scripted tests play the peer by hand. Sequence numbers in scripts are
// relative: ours to ourISS, the peer's to peerISS, so the SYN of either is 0
// and its first octet 1.
const (
	ourISS  Seq = 0xffff_ff00 // wraps 2^32 after 256 octets
	peerISS Seq = 0x7fff_ff00 // wraps 2^31 after 256 octets
)

// script drives one machine.
type script struct {
	t    *testing.T
	c    *Conn
	now  Instant
	out  []string
	segs []Segment // what was emitted last, text flattened into Payload
	win  uint16    // the window that recv announces
	gso  int
	mss  int
	ts   bool // recv adds timestamps
	tsv  uint32
}

// option edits the configuration and the peer's SYN options before a
// connection is made.
type option func(cfg *Config, syn *Options)

// withSACK, withTimestamps and withScale have both ends agree on an option;
// without them the scripts run on bare segments.
func withSACK(cfg *Config, syn *Options) { cfg.NoSACK, syn.SACKPermitted = false, true }
func withTimestamps(cfg *Config, syn *Options) {
	cfg.NoTimestamps, syn.HasTimestamps, syn.TSVal = false, true, 100
}
func withScale(n uint8) option {
	return func(cfg *Config, syn *Options) {
		cfg.NoWindowScale, syn.HasWindowScale, syn.WindowScale = false, true, n
	}
}
func withMSS(n uint16) option { return func(cfg *Config, syn *Options) { syn.MSS = n } }
func config(f func(*Config)) option {
	return func(cfg *Config, _ *Options) { f(cfg) }
}

func newScript(t *testing.T, opts []option) (*script, Config, Options) {
	cfg := Config{Local: addrA, Remote: addrB, MSS: 1000, ISS: ourISS, RcvBuf: 10000, SndBuf: 100000,
		NoSACK: true, NoTimestamps: true, NoWindowScale: true}
	syn := Options{MSS: 1000}
	for _, o := range opts {
		o(&cfg, &syn)
	}
	return &script{t: t, now: Instant(time.Second), win: 60000, mss: int(or(cfg.MSS, defaultMSS)), ts: syn.HasTimestamps, tsv: 100}, cfg, syn
}

// inSynSent returns a connection that has sent its SYN.
func inSynSent(t *testing.T, opts ...option) (*script, Options) {
	t.Helper()
	p, cfg, syn := newScript(t, opts)
	p.c = NewActive(cfg, p.now)
	p.flush()
	p.expect("[S] 0 ack 0")
	return p, syn
}

// inSynReceived returns a passive connection that has sent its SYN-ACK.
func inSynReceived(t *testing.T, opts ...option) *script {
	t.Helper()
	p, cfg, syn := newScript(t, opts)
	p.c = NewPassive(cfg, &Segment{SrcPort: addrB.Port(), DstPort: addrA.Port(), Seq: peerISS, Flags: SYN, Window: p.win, Options: syn}, p.now)
	p.flush()
	p.expect("[S.] 0 ack 1")
	return p
}

// inEstablished returns a connection that was opened actively.
func inEstablished(t *testing.T, opts ...option) *script {
	t.Helper()
	p, syn := inSynSent(t, opts...)
	p.recv(SYN|ACK, 0, 1, 0, func(s *Segment) {
		ts := s.Options.TSEcr
		s.Options = syn
		s.Options.TSEcr = ts
	})
	p.expect("[.] 1 ack 1")
	p.state(Established)
	return p
}

// inFinWait1 has sent its FIN.
func inFinWait1(t *testing.T, opts ...option) *script {
	t.Helper()
	p := inEstablished(t, opts...)
	p.c.CloseWrite(p.now)
	p.flush()
	p.expect("[F.] 1 ack 1")
	p.state(FinWait1)
	return p
}

// inFinWait2 has had it acknowledged.
func inFinWait2(t *testing.T, opts ...option) *script {
	t.Helper()
	p := inFinWait1(t, opts...)
	p.recv(ACK, 1, 2, 0)
	p.expect()
	p.state(FinWait2)
	return p
}

// inCloseWait has received the peer's FIN.
func inCloseWait(t *testing.T, opts ...option) *script {
	t.Helper()
	p := inEstablished(t, opts...)
	p.recv(FIN|ACK, 1, 1, 0)
	p.expect("[.] 1 ack 2")
	p.state(CloseWait)
	return p
}

// inClosing has sent its FIN and received the peer's, which does not
// acknowledge it: simultaneous close.
func inClosing(t *testing.T, opts ...option) *script {
	t.Helper()
	p := inFinWait1(t, opts...)
	p.recv(FIN|ACK, 1, 1, 0)
	p.expect("[.] 2 ack 2")
	p.state(Closing)
	return p
}

// inLastAck has answered the peer's FIN with its own.
func inLastAck(t *testing.T, opts ...option) *script {
	t.Helper()
	p := inCloseWait(t, opts...)
	p.c.CloseWrite(p.now)
	p.flush()
	p.expect("[F.] 1 ack 2")
	p.state(LastAck)
	return p
}

// inTimeWait has closed first.
func inTimeWait(t *testing.T, opts ...option) *script {
	t.Helper()
	p := inFinWait2(t, opts...)
	p.recv(FIN|ACK, 1, 2, 0)
	p.expect("[.] 2 ack 2")
	p.state(TimeWait)
	return p
}

// states lists the constructors of all states that have a peer.
var states = []struct {
	state State
	make  func(*testing.T, ...option) *script
}{
	{SynReceived, inSynReceived}, {Established, inEstablished}, {FinWait1, inFinWait1}, {FinWait2, inFinWait2},
	{CloseWait, inCloseWait}, {Closing, inClosing}, {LastAck, inLastAck}, {TimeWait, inTimeWait},
}

// recv gives the machine a segment of the peer with n octets of text and lets
// it answer.
func (p *script) recv(flags Flags, seq, ack, n int, edits ...func(*Segment)) {
	p.t.Helper()
	p.take(flags, seq, ack, n, edits...)
	p.flush()
}

// take is recv without giving the machine a chance to answer.
func (p *script) take(flags Flags, seq, ack, n int, edits ...func(*Segment)) {
	p.t.Helper()
	s := Segment{SrcPort: addrB.Port(), DstPort: addrA.Port(), Flags: flags, Seq: peerISS.Add(seq), Window: p.win, Payload: text(seq, n)}
	if flags&ACK != 0 {
		s.Ack = ourISS.Add(ack)
	}
	if p.ts {
		s.Options.HasTimestamps, s.Options.TSVal = true, p.tsv
	}
	for _, e := range edits {
		e(&s)
	}
	p.c.Input(p.now, &s)
	checkInvariants(p.t, p.c)
}

// text is what the peer has to say: n octets from relative number seq on.
func text(seq, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((seq + i) * 7)
	}
	return b
}

func window(n uint16) func(*Segment) { return func(s *Segment) { s.Window = n } }
func tsval(n uint32) func(*Segment)  { return func(s *Segment) { s.Options.TSVal = n } }

// sacking adds SACK blocks with relative numbers of ours.
func sacking(blocks ...[2]int) func(*Segment) {
	return func(s *Segment) {
		for i, b := range blocks {
			s.Options.SACK[i] = SACKBlock{ourISS.Add(b[0]), ourISS.Add(b[1])}
		}
		s.Options.NSACK = uint8(len(blocks))
	}
}

// flush runs Output and remembers what it emitted.
func (p *script) flush() {
	p.t.Helper()
	p.c.Output(p.now, p.gso, func(s *Segment) bool {
		c := *s
		c.Payload = bytes.Join(s.Data, nil)
		c.Data = nil
		checkSize(p.t, &c, p.mss, p.gso)
		p.segs = append(p.segs, c)
		p.out = append(p.out, show(&c))
		return true
	})
	checkInvariants(p.t, p.c)
}

// show writes a segment of ours with relative numbers: "[P.] 1+100 ack 1".
func show(s *Segment) string {
	rel := func(n, base Seq) int {
		if n == 0 {
			return 0
		}
		return n.Sub(base)
	}
	n := ""
	if len(s.Payload) > 0 {
		n = fmt.Sprintf("+%d", len(s.Payload))
	}
	return fmt.Sprintf("[%v] %d%s ack %d", s.Flags, rel(s.Seq, ourISS), n, rel(s.Ack, peerISS))
}

// expect states exactly what was emitted since the last call.
func (p *script) expect(want ...string) {
	p.t.Helper()
	if !slices.Equal(p.out, want) {
		p.t.Fatalf("at %v emitted %q, want %q (%v)", time.Duration(p.now), p.out, want, p.c.state)
	}
	p.out = nil
}

// last returns the segment emitted last.
func (p *script) last() Segment {
	p.t.Helper()
	if len(p.segs) == 0 {
		p.t.Fatal("nothing was emitted")
	}
	return p.segs[len(p.segs)-1]
}

func (p *script) state(want State) {
	p.t.Helper()
	if p.c.State() != want {
		p.t.Fatalf("state %v, want %v (err %v)", p.c.State(), want, p.c.Err())
	}
}

func (p *script) failed(want error) {
	p.t.Helper()
	if p.c.State() != Closed || !errors.Is(p.c.Err(), want) || (want == nil) != (p.c.Err() == nil) {
		p.t.Fatalf("state %v with error %v, want CLOSED with %v", p.c.State(), p.c.Err(), want)
	}
}

// write queues n octets and flushes.
func (p *script) write(n int) {
	p.t.Helper()
	if got, err := p.c.Write(text(0, n)); got != n || err != nil {
		p.t.Fatalf("Write: %d, %v", got, err)
	}
	p.flush()
}

// read wants exactly n octets that continue at relative number seq.
func (p *script) read(seq, n int) {
	p.t.Helper()
	b := make([]byte, n+1)
	got, err := p.c.Read(b)
	if err != nil && n > 0 || got != n || !bytes.Equal(b[:got], text(seq, n)) {
		p.t.Fatalf("Read: %d octets, %v, want %d from %d", got, err, n, seq)
	}
}

// after advances the clock by d, stopping at every deadline on the way.
func (p *script) after(d time.Duration) {
	p.t.Helper()
	end := p.now.Add(d)
	for i := 0; ; i++ {
		at := p.c.Deadline()
		if at == 0 || at > end {
			break
		}
		if i > 10000 {
			p.t.Fatal("the deadline does not move")
		}
		p.now = max(p.now, at)
		p.flush()
	}
	p.now = end
	p.flush()
}

// times returns when, from now on within d, segments go out.
func (p *script) times(d time.Duration) []time.Duration {
	p.t.Helper()
	start, end := p.now, p.now.Add(d)
	var at []time.Duration
	for p.c.Deadline() != 0 && p.c.Deadline() <= end {
		p.now = max(p.now, p.c.Deadline())
		before := len(p.segs)
		p.flush()
		if len(p.segs) > before {
			at = append(at, p.now.Sub(start))
		}
	}
	p.now, p.out = end, nil
	return at
}
