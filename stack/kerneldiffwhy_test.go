//go:build linux

package stack_test

import (
	"slices"

	"arpeggio/stack/tcp"
)

// diffReason is why the kernel's answer and ours are not the same, for cases with
// a segment that is meant in a state that is meant (all, when none is named).
// Behind the first of several segments the state may be another one.
type diffReason struct {
	why    string
	states []string
	opts   bool // only with options
	is     func(d diffSeg) bool
}

// explain returns the reason for a difference, empty when there is none.
func explain(c *diffCase) string {
	for _, r := range diffReasons {
		if r.opts && !c.opts || len(c.segs) == 1 && r.states != nil && !slices.Contains(r.states, c.state) {
			continue
		}
		if slices.ContainsFunc(c.segs, r.is) {
			return r.why
		}
	}
	return ""
}

var diffReasons = []diffReason{
	{
		why: "Linux drops a segment without ACK, SYN and RST unseen, in TIME-WAIT it answers; RFC 9293 §3.10.7.4 answers what is outside " +
			"the window (first step) and drops the rest without a word (fifth step)",
		is: func(d diffSeg) bool { return d.flags&(tcp.ACK|tcp.SYN|tcp.RST) == 0 },
	},
	{
		why: "SYN-SENT: Linux sends its SYN again at once when an acknowledgment is not for it; " +
			"RFC 9293 §3.10.7.3 has the reset, or nothing for a reset, and leaves the SYN to its timer",
		states: []string{"SYN-SENT"},
		is:     func(d diffSeg) bool { return d.flags&tcp.ACK != 0 && d.ack != ackAll && d.ack != ackUna },
	},
	{
		why:    "SYN-SENT: Linux acknowledges only the SYN of a SYN-ACK with text; RFC 9293 §3.10.7.3 takes the text, too",
		states: []string{"SYN-SENT"},
		is:     func(d diffSeg) bool { return d.flags.Has(tcp.SYN|tcp.ACK) && d.n > 0 },
	},
	{
		why: "SYN-SENT: in a simultaneous open Linux offers again what the peer's SYN did not have; " +
			"RFC 7323 §2.2 and §3.2 have it in a SYN-ACK only when the SYN had it",
		states: []string{"SYN-SENT"},
		is:     func(d diffSeg) bool { return d.flags&(tcp.SYN|tcp.ACK|tcp.RST) == tcp.SYN },
	},
	{
		why: "SYN-RECEIVED: Linux resets for a SYN in the window and does not know a SYN-ACK there; ours asks, as in the synchronized states " +
			"(RFC 5961 §4.2), so that a forged SYN ends no handshake, and takes the SYN-ACK of a simultaneous open (RFC 9293 §3.5, figure 7)",
		states: []string{"SYN-RECEIVED"},
		is:     func(d diffSeg) bool { return d.flags&(tcp.SYN|tcp.RST) == tcp.SYN },
	},
	{
		why: "Linux takes no acknowledgment from before the first one (tcp_ack bounds the window by bytes_acked); " +
			"the range of RFC 5961 §5.2 reaches one window further back, and so does ours",
		is: func(d diffSeg) bool { return d.flags&tcp.ACK != 0 && d.ack == ackOld },
	},
	{
		why: "Linux takes the right edge for a part of the window and asks about a reset there; RFC 9293 §3.4 ends the window before it, " +
			"and RFC 5961 §3.2 drops such a reset without a word",
		is: func(d diffSeg) bool { return d.flags&tcp.RST != 0 && d.seq == atEdge },
	},
	{
		why: "SYN and RST in one segment: Linux counts the SYN in its length; RFC 9293 §3.10.7.4 looks at RST before SYN",
		is:  func(d diffSeg) bool { return d.flags.Has(tcp.SYN | tcp.RST) },
	},
	{
		why:    "text and FINs behind the peer's FIN: Linux acknowledges them or resets; RFC 9293 §3.10.7.4 (seventh and eighth step) ignores them",
		states: []string{"CLOSE-WAIT", "CLOSING", "LAST-ACK"},
		is: func(d diffSeg) bool {
			return d.flags&tcp.ACK != 0 && (d.n > 0 || d.flags&tcp.FIN != 0 && d.seq == atEdge)
		},
	},
	{
		why: "CLOSING, LAST-ACK: Linux takes the acknowledgment of our FIN from a segment with an old number; " +
			"RFC 9293 §3.10.7.4 answers and drops it (first step)",
		states: []string{"CLOSING", "LAST-ACK"},
		is:     func(d diffSeg) bool { return d.flags.Has(tcp.FIN|tcp.ACK) && d.seq == justBefore },
	},
	{
		why:  "Linux counts a FIN as an octet in SACK blocks; RFC 2018 §3 and RFC 2883 §4 speak of octets of data",
		opts: true,
		is:   func(d diffSeg) bool { return d.flags.Has(tcp.FIN | tcp.ACK) },
	},
	{
		why:  "Linux takes the whole of a segment that goes beyond the window; RFC 9293 §3.10.7.4 has it cut (seventh step)",
		opts: true,
		is:   func(d diffSeg) bool { return d.flags&tcp.ACK != 0 && d.n > 0 && d.seq == lastOne },
	},
	{
		why:    "in SYN-RECEIVED and TIME-WAIT Linux reports no duplicates; RFC 2883 §4 makes no exception",
		states: []string{"SYN-RECEIVED", "TIME-WAIT"},
		opts:   true,
		is:     func(d diffSeg) bool { return d.flags&tcp.ACK != 0 && d.n > 0 },
	},
}
