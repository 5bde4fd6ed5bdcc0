package tracecheck

import "fmt"

// Rule is one thing that the specification says about what a host sends.
type Rule int

// The rules.
const (
	Flags            Rule = iota // control bits that go together
	NoACK                        // every segment after the first acknowledges
	NotOpen                      // a connection begins with a SYN
	SameISS                      // a SYN that goes again is the same
	Early                        // no text before the handshake is over
	LateSYN                      // no SYN in a synchronized connection
	AfterReset                   // a connection that was reset is silent
	AfterClose                   // a closed connection only answers
	AckAhead                     // acknowledges only what came
	AckBack                      // never takes an acknowledgment back
	AckBehind                    // acknowledges RCV.NXT
	AckDelay                     // within half a second
	AckSecond                    // at least every second full segment
	AckGap                       // at once when something came out of order
	AckUnacceptable              // text from outside the window is answered
	Challenge                    // suspicious SYNs and resets are asked about
	Shrink                       // the window's right edge never goes back
	SillyWindow                  // a closed window opens by something worth it
	SeqAhead                     // leaves no hole in what it sends
	SeqBehind                    // sends nothing that was acknowledged
	BeyondWindow                 // new text only within the peer's window
	BeyondFIN                    // nothing behind a FIN, and one FIN
	SameText                     // what goes again is what went first
	TooBig                       // no more text than the peer's MSS
	OptionPlace                  // MSS, window scale and SACK-permitted in SYNs only
	OptionOffer                  // a SYN-ACK agrees to what was offered
	TimestampsAgreed             // on every segment, or on none
	TimestampClock               // goes forward, neither too fast nor too slow
	TimestampEcho                // RFC 7323's rule which timestamp goes back
	SackAgreed                   // SACK only for a peer that can read it
	SackReceived                 // reports what came and nothing else
	SackDuplicate                // D-SACK reports what came twice
	SackStale                    // and nothing that waited and is acknowledged now
	SackFirst                    // the first block is the newest
	SackMissing                  // text out of order is reported
	EarlyTimeout                 // not sent again before the timeout, without cause
	BackOff                      // each timeout is twice the last one
	LossWindow                   // after a timeout one segment, until an answer
	TooMuch                      // no more in flight than slow start allows
	NoRetransmit                 // what is lost goes again
	ProbeInterval                // zero-window probes come more and more rarely
	ResetNumbers                 // a reset that the other side can believe
	ResetUnasked                 // resets only answer, and never resets
	EcnAgreed                    // ECN bits only when agreed
	EcnMark                      // ECT on new text only
	EcnEcho                      // a mark is echoed until CWR
	UrgentBack                   // the urgent pointer never goes back
	rules
)

// clauses holds, in the order of the constants, name and source.
func (r Rule) text() (name, clause string) {
	t := [rules][2]string{
		Flags:            {"flags", "RFC 9293 §3.10.7: SYN, FIN and RST exclude each other"},
		NoACK:            {"no ACK", "RFC 9293 §3.1: once a connection is established, ACK is always set"},
		NotOpen:          {"not open", "RFC 9293 §3.5: a connection begins with a SYN"},
		SameISS:          {"same ISS", "RFC 9293 §3.4.1: one initial sequence number a connection"},
		Early:            {"early", "RFC 9293 §3.5: no text before the peer's SYN is known and ours is acknowledged"},
		LateSYN:          {"late SYN", "RFC 9293 §3.10.7.4: a synchronized connection sends no SYN"},
		AfterReset:       {"after reset", "RFC 9293 §3.5.3: after a reset only resets"},
		AfterClose:       {"after close", "RFC 9293 §3.10.7.4: in TIME-WAIT only answers"},
		AckAhead:         {"ACK ahead", "RFC 9293 §3.4: acknowledge what was received"},
		AckBack:          {"ACK back", "RFC 9293 §3.4: acknowledgments are cumulative"},
		AckBehind:        {"ACK behind", "RFC 9293 §3.10.7.4: SEG.ACK is RCV.NXT"},
		AckDelay:         {"ACK delay", "RFC 9293 §3.8.6.3 MUST-40: less than 0.5 s"},
		AckSecond:        {"ACK second", "RFC 9293 §3.8.6.3 SHLD-19: at least every second full-sized segment"},
		AckGap:           {"ACK gap", "RFC 5681 §4.2: immediately when out of order or filling a gap"},
		AckUnacceptable:  {"ACK unacceptable", "RFC 9293 §3.10.7.4: an unacceptable segment is acknowledged"},
		Challenge:        {"challenge", "RFC 5961 §3.2 and §4.2: a challenge ACK"},
		Shrink:           {"shrink", "RFC 9293 §3.8.6 SHLD-14: do not shrink the window"},
		SillyWindow:      {"silly window", "RFC 9293 §3.8.6.2.2 MUST-39: silly window avoidance"},
		SeqAhead:         {"sequence ahead", "RFC 9293 §3.4: SND.NXT goes up by what is sent"},
		SeqBehind:        {"sequence behind", "RFC 9293 §3.10.7.4: what is acknowledged leaves the retransmission queue"},
		BeyondWindow:     {"beyond window", "RFC 9293 §3.8.6: no new text beyond SND.UNA+SND.WND, save one octet to probe"},
		BeyondFIN:        {"beyond FIN", "RFC 9293 §3.6: FIN ends what is sent"},
		SameText:         {"same text", "RFC 9293 §3.4: each octet has its sequence number"},
		TooBig:           {"too big", "RFC 9293 §3.7.1 MUST-16: Eff.snd.MSS"},
		OptionPlace:      {"option place", "RFC 9293 §3.7.1, RFC 7323 §2.2, RFC 2018 §2: in SYN segments only"},
		OptionOffer:      {"option offer", "RFC 7323 §2.2 and §3.2: in a SYN-ACK only when the SYN had it"},
		TimestampsAgreed: {"timestamps agreed", "RFC 7323 §3.2: in every segment once agreed, else in none"},
		TimestampClock:   {"timestamp clock", "RFC 7323 §5.4: monotone, a tick of 1 ms to 1 s"},
		TimestampEcho:    {"timestamp echo", "RFC 7323 §3.2 and §4.3: TSecr is TS.Recent, 0 without ACK"},
		SackAgreed:       {"SACK agreed", "RFC 2018 §4: only when SACK-permitted was received"},
		SackReceived:     {"SACK received", "RFC 2018 §3: a block is contiguous, isolated, and was received"},
		SackDuplicate:    {"SACK duplicate", "RFC 2883 §4: D-SACK reports what was received twice"},
		SackStale:        {"SACK stale", "RFC 2018 §3: a block is queued behind a gap; RFC 2883 §4: or was received twice"},
		SackFirst:        {"SACK first", "RFC 2018 §4: the first block holds the segment that triggered it"},
		SackMissing:      {"SACK missing", "RFC 2018 §4: SACK in every ACK while data are queued out of order"},
		EarlyTimeout:     {"early timeout", "RFC 6298 §2.4 and §5: not before the retransmission timeout"},
		BackOff:          {"back-off", "RFC 6298 §5.5: the timeout doubles"},
		LossWindow:       {"loss window", "RFC 5681 §3.1: after a timeout the window is one segment"},
		TooMuch:          {"too much", "RFC 5681 §3.1, RFC 6928 §2: initial window, then what was acknowledged"},
		NoRetransmit:     {"no retransmission", "RFC 9293 §3.8.1 MUST-19: lost text is sent again"},
		ProbeInterval:    {"probe interval", "RFC 9293 §3.8.6.1 SHLD-29 and SHLD-30: after the timeout, then exponentially"},
		ResetNumbers:     {"reset numbers", "RFC 9293 §3.10.7.1 and §3.10.5: SEQ of a reset"},
		ResetUnasked:     {"reset unasked", "RFC 9293 §3.5.2: a reset answers a segment that is no reset"},
		EcnAgreed:        {"ECN agreed", "RFC 3168 §6.1.1: ECT, ECE and CWR only when agreed"},
		EcnMark:          {"ECN mark", "RFC 3168 §6.1.4 to §6.1.6: ECT on new text only"},
		EcnEcho:          {"ECN echo", "RFC 3168 §6.1.3: ECE in every ACK from CE to CWR"},
		UrgentBack:       {"urgent back", "RFC 9293 §3.8.5: SND.UP goes forward"},
	}
	return t[r][0], t[r][1]
}

// String returns the rule's name.
func (r Rule) String() string { name, _ := r.text(); return name }

// Clause returns where the rule is from, with its gist.
func (r Rule) Clause() string { _, clause := r.text(); return clause }

// Violation is what a host did against a rule.
type Violation struct {
	Rule   Rule
	Index  int    // the segment, or the one that went unanswered; the first of the trace is 1
	Detail string // numbers relative to the initial ones
}

// Error tells what happened and which clause forbids it.
func (v *Violation) Error() string {
	return fmt.Sprintf("segment %d: %v: %s (%s)", v.Index, v.Rule, v.Detail, v.Rule.Clause())
}
