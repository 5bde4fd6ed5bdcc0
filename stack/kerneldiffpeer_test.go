//go:build linux

package stack_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"arpeggio/stack/checksum"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
)

// A peer without a TCP of its own, 10.9.0.9, that plays the same segments to two
// hosts.

var (
	diffPeer    = netip.MustParseAddr("10.9.0.9")
	diffPeerMAC = ethernet.MustParseAddr("02:00:00:00:00:09")
)

const (
	diffListens = 7000
	diffClosed  = 7001
	peerStart   = tcp.Seq(0x7fff_ff00)
)

// diffHost is a host under comparison.
type diffHost struct {
	t       *testing.T
	name    string
	addr    netip.Addr
	dev     link.Device
	mac     ethernet.Addr
	dial    func(ports []uint16) // to the peer
	finish  func(port uint16)    // closes the connection with the peer's port for writing
	catchUp func()               // returns when what was sent to the host has been taken
	mu      sync.Mutex
	runs    map[uint16]*diffRun
	started time.Time
	wg      sync.WaitGroup
}

// diffRun is one case on one host.
type diffRun struct {
	c        *diffCase
	h        *diffHost
	port     uint16 // the peer's
	hostPort uint16
	opts     bool // agreed
	iss      tcp.Seq
	known    bool // iss is
	snd      int  // the peer's next number
	rcv      int  // the host's next number
	una      int  // acknowledged by the peer
	edge     int  // of the host's window
	from     int  // the edge when segments were injected
	scale    uint8
	tsecr    uint32
	acks     []tcp.Seq // numbers that were acknowledged in injected segments
	fin      bool
	hears    bool // answers are written down
	answers  []string
}

// listen reads what the host sends until the device is closed.
func (h *diffHost) listen() {
	h.runs, h.started = make(map[uint16]*diffRun), time.Now()
	h.wg.Add(1)
	go func() {
		defer h.wg.Done()
		frames := make([]link.Frame, 64)
		for {
			n, err := h.dev.ReadFrames(frames)
			if err != nil {
				return
			}
			for k := range frames[:n] {
				h.hear(frames[k].Head)
			}
			if n == 0 && h.dev.Wait(time.Time{}) != nil {
				return
			}
		}
	}()
	h.t.Cleanup(func() { h.dev.Close(); h.wg.Wait() })
}

func (h *diffHost) hear(frame []byte) {
	_, packet, err := ethernet.Parse(frame)
	if err != nil {
		return
	}
	ip, _, body, err := ipv4.Parse(packet)
	if err != nil || ip.Proto != ipv4.ProtoTCP || ip.Dst != diffPeer {
		return
	}
	s, err := tcp.ParseSegment(body)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.runs[s.DstPort]; r != nil && (r.hostPort == s.SrcPort || r.hostPort == 0) {
		r.hear(&s)
	}
}

// hear learns from a segment, and writes it down when it is an answer.
func (r *diffRun) hear(s *tcp.Segment) {
	o := &s.Options
	if s.Flags&(tcp.SYN|tcp.RST) == tcp.SYN {
		if !r.known || !r.hears {
			r.iss, r.known, r.hostPort = s.Seq, true, s.SrcPort
		}
		r.opts = r.c.opts && o.HasTimestamps
		r.rcv, r.edge, r.scale = 1, r.snd+int(s.Window), o.WindowScale
	}
	rel := s.Seq.Sub(r.iss)
	if s.Flags&tcp.RST == 0 && o.HasTimestamps {
		r.tsecr = o.TSVal
	}
	if s.Flags&(tcp.SYN|tcp.RST) == 0 {
		r.edge = s.Ack.Sub(peerStart) + int(s.Window)<<r.scale
		if s.Flags&tcp.FIN != 0 {
			if r.fin {
				return // again: only time tells when
			}
			r.fin = true
		}
		r.rcv = max(r.rcv, rel+s.Len())
	}
	if r.hears {
		r.answers = append(r.answers, r.tell(s, rel))
	}
}

// tell is the segment with relative numbers, without what hosts may choose:
// windows, but for being open, and the values of timestamps.
func (r *diffRun) tell(s *tcp.Segment, rel int) string {
	o := &s.Options
	seq := fmt.Sprint("iss+", rel)
	if s.Flags&tcp.RST != 0 && !r.known {
		seq = fmt.Sprint(uint32(s.Seq))
		for _, a := range r.acks {
			if s.Seq == a {
				seq = "SEG.ACK"
			}
		}
	}
	b := fmt.Sprintf("[%v] seq %s", s.Flags&^tcp.PSH, seq)
	if s.Flags&tcp.ACK != 0 {
		b += " ack " + r.place(s.Ack)
	}
	if n := s.DataLen(); n > 0 {
		b += fmt.Sprint(" len ", n)
	}
	if s.Window == 0 && s.Flags&tcp.RST == 0 {
		b += " closed"
	}
	for _, x := range []struct {
		has  bool
		name string
	}{{o.MSS != 0, "mss"}, {o.HasWindowScale, "wscale"}, {o.SACKPermitted, "sackOK"}, {o.HasTimestamps && s.Flags&tcp.RST == 0, "ts"}} {
		if x.has {
			b += " " + x.name
		}
	}
	for _, k := range o.SACK[:o.NSACK] {
		b += fmt.Sprintf(" sack %s-%s", r.place(k.Start), r.place(k.End))
	}
	return b
}

// place is a number of the peer's, from its start or from the edge of the window,
// which hosts choose.
func (r *diffRun) place(s tcp.Seq) string {
	n := s.Sub(peerStart)
	if d := n - r.from; r.from > 0 && d > -2000 && d < 2000 {
		return fmt.Sprintf("edge%+d", d)
	}
	return fmt.Sprint(n)
}

// send sends a segment with the peer's number seq, as far as it is relative, and
// the host's number ack.
func (r *diffRun) send(flags tcp.Flags, seq, ack, n int) {
	h := r.h
	h.mu.Lock()
	s := tcp.Segment{SrcPort: r.port, DstPort: r.hostPort, Flags: flags, Seq: peerStart.Add(seq), Window: 5000}
	if flags&tcp.ACK != 0 {
		s.Ack = r.iss.Add(ack)
		r.acks = append(r.acks, s.Ack)
	}
	o := &s.Options
	if flags&tcp.SYN != 0 {
		o.MSS = 1000
	}
	if flags&tcp.SYN != 0 && r.c.opts {
		o.SACKPermitted, o.HasWindowScale, o.WindowScale = true, true, 7
	}
	if r.opts || flags&tcp.SYN != 0 && r.c.opts {
		o.HasTimestamps, o.TSVal = true, 1000+uint32(time.Since(h.started)/time.Millisecond)
		if flags&tcp.ACK != 0 {
			o.TSEcr = r.tsecr
		}
	}
	h.mu.Unlock()
	b := append(s.AppendHeader(nil), make([]byte, n)...)
	sum := checksum.Checksum(checksum.Sum(b, checksum.Pseudo(diffPeer, h.addr, uint8(ipv4.ProtoTCP), len(b))))
	binary.BigEndian.PutUint16(b[tcp.ChecksumOffset:], sum)
	ip := ipv4.Header{Proto: ipv4.ProtoTCP, Src: diffPeer, Dst: h.addr, TTL: 64}
	e := ethernet.Header{Dst: h.mac, Src: diffPeerMAC, Type: ethernet.TypeIPv4}
	f := link.Frame{Head: append(ip.AppendTo(e.AppendTo(nil), nil, len(b)), b...)}
	if _, err := h.dev.WriteFrames([]link.Frame{f}); err != nil {
		h.t.Error(err)
	}
}

// diffStates are the states in which segments are injected, each with the steps
// that lead there: S, A and F are the peer's segments, c has the host close, d
// has it dial, and G is a FIN that does not acknowledge the host's.
var diffStates = map[string]string{
	"CLOSED": "", "LISTEN": "", "SYN-SENT": "d", "SYN-RECEIVED": "S", "ESTABLISHED": "SA", "CLOSE-WAIT": "SAF", "LAST-ACK": "SAFc",
	"FIN-WAIT-1": "SAc", "FIN-WAIT-2": "SAcA", "CLOSING": "SAcG", "TIME-WAIT": "SAcF",
}

const diffSteps = 4

// step takes the run one step towards its state; those with fewer steps begin
// later.
func (r *diffRun) step(k int) {
	path := diffStates[r.c.state]
	if k -= diffSteps - len(path); k < 0 {
		return
	}
	r.h.mu.Lock()
	snd, rcv, una := r.snd, r.rcv, r.una
	switch path[k] {
	case 'S':
		r.snd++
	case 'F', 'G':
		r.snd++
	}
	if path[k] == 'A' || path[k] == 'F' {
		r.una = rcv
	}
	r.h.mu.Unlock()
	switch path[k] {
	case 'S':
		r.send(tcp.SYN, snd, 0, 0)
	case 'A':
		r.send(tcp.ACK, snd, rcv, 0)
	case 'F':
		r.send(tcp.FIN|tcp.ACK, snd, rcv, 0)
	case 'G':
		r.send(tcp.FIN|tcp.ACK, snd, una, 0)
	case 'c':
		r.h.finish(r.port)
	}
}

// arrived reports whether what the host sends in a step has been heard.
func (r *diffRun) arrived(k int) bool {
	path := diffStates[r.c.state]
	if k -= diffSteps - len(path); k < 0 {
		return true
	}
	r.h.mu.Lock()
	defer r.h.mu.Unlock()
	switch path[k] {
	case 'S', 'd':
		return r.known
	case 'c':
		return r.fin
	}
	return true
}

// play runs cases on a host at the same time, in step, and returns the answers
// by name.
func (h *diffHost) play(cases []*diffCase, first uint16) map[string]string {
	var runs []*diffRun
	var dials []uint16
	h.mu.Lock()
	for i, c := range cases {
		r := &diffRun{c: c, h: h, port: first + uint16(i), hostPort: diffListens, rcv: 1, una: 1, edge: 60_000}
		switch c.state {
		case "CLOSED":
			r.hostPort = diffClosed
		case "SYN-SENT":
			r.hostPort = 0
			dials = append(dials, r.port)
		}
		runs, h.runs[r.port] = append(runs, r), r
	}
	h.mu.Unlock()
	for k := range diffSteps {
		if k == diffSteps-1 && len(dials) > 0 {
			h.dial(dials)
		}
		for _, r := range runs {
			r.step(k)
		}
		time.Sleep(30 * time.Millisecond)
		for range 1000 { // on a busy machine
			if !slices.ContainsFunc(runs, func(r *diffRun) bool { return !r.arrived(k) }) {
				break
			}
			time.Sleep(3 * time.Millisecond)
		}
	}
	for _, r := range runs {
		h.mu.Lock()
		r.hears, r.from = true, r.edge
		h.mu.Unlock()
		r.inject()
	}
	h.catchUp()
	time.Sleep(110 * time.Millisecond) // delayed acknowledgments included
	h.catchUp()
	time.Sleep(10 * time.Millisecond) // for our reader
	h.mu.Lock()
	defer h.mu.Unlock()
	got := make(map[string]string)
	for _, r := range runs {
		if len(r.c.segs) > 1 {
			// Segments that arrive together may have one answer together (RFC 9293
			// §3.10.7.4, MUST-59); whether they do is a matter of time.
			r.answers = slices.Compact(r.answers)
		}
		got[r.c.name] = strings.Join(r.answers, "; ")
		delete(h.runs, r.port)
	}
	return got
}

// inject sends the segments of the case.
func (r *diffRun) inject() {
	for _, d := range r.c.segs {
		r.h.mu.Lock()
		seq := map[seqKind]int{atNext: r.snd, justBefore: r.snd - 1, gap: r.snd + 5, oldText: r.snd - 100, partly: r.snd - 5,
			lastOne: r.edge - 1, atEdge: r.edge, beyond: r.edge + 1000, farAhead: r.snd + 1<<30}[d.seq]
		ack := map[ackKind]int{ackAll: r.rcv, ackUna: r.una, ackUnsent: r.rcv + 1, ackFar: r.rcv + 1<<30, ackOld: r.una - 1, ackVeryOld: r.una - 1<<24}[d.ack]
		r.h.mu.Unlock()
		r.send(d.flags, seq, ack, d.n)
	}
}
