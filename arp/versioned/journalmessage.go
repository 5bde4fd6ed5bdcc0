package versioned

import (
	"encoding/hex"
	"strconv"
	"time"

	"arpeggio/arp"
)

// Trailers that only an observer writes.
const (
	TrailerEvent    = "Arp-Event"     // a type of event; several are possible
	TrailerCount    = "Arp-Count"     // what the commit stands for: frames, stations or times
	TrailerDetail   = "Arp-Detail"    // in words
	TrailerStamp    = "Arp-Stamp"     // what the frame's clock said, when it had gone back
	TrailerLastSeen = "Arp-Last-Seen" // when Arp-Old was last seen with the address, RFC 3339
	TrailerFrames   = "Arp-Frames"    // in how many frames it was seen with it
	// TrailerLeft stands in the summary of a flood, once for each owner that
	// lost an address: ADDRESS MAC LAST-SEEN FRAMES. TrailerLeftMore counts those
	// beyond a thousand.
	TrailerLeft     = "Arp-Left"
	TrailerLeftMore = "Arp-Left-More"
)

// Values of TrailerEvent that concern the observer and not the network.
const (
	EventLoss  = "loss"  // frames were lost
	EventClock = "clock" // the timestamps of an interface went back
)

// trailer appends one line, unless the value is empty.
func trailer(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, key...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, '\n')
}

func appendTime(b []byte, key string, at time.Time) []byte {
	if at.IsZero() {
		return b
	}
	b = append(b, key...)
	b = append(b, ": "...)
	b = at.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '\n')
}

// message returns the text of an observation's commit.
func (j *Journal) message(o *Observation, changed bool) string {
	b := j.text[:0]
	if o.Subject != "" {
		b = append(b, Clean(o.Subject)...)
	} else {
		b = append(b, subject(&arp.Change{Op: o.Op, Key: o.Key, MAC: o.MAC, Old: o.Old})...)
	}
	b = append(b, '\n', '\n')
	cause := o.Op.String()
	if !changed && (o.binds() || o.Op == arp.OpNone) {
		cause = CauseObserved // no entry changed
	}
	b = trailer(b, TrailerCause, cause)
	for _, e := range o.Events {
		b = trailer(b, TrailerEvent, Clean(e))
	}
	if o.Key.Addr.IsValid() {
		b = trailer(b, TrailerAddress, Clean(o.Key.String()))
	}
	if !o.MAC.IsZero() {
		b = trailer(b, TrailerMAC, o.MAC.String())
	}
	if !o.Old.IsZero() {
		b = trailer(b, TrailerOld, o.Old.String())
		b = appendTime(b, TrailerLastSeen, o.LastSeen)
		if o.Frames > 0 {
			b = trailer(b, TrailerFrames, strconv.FormatUint(o.Frames, 10))
		}
	}
	b = trailer(b, TrailerRule, Clean(o.Rule))
	b = trailer(b, TrailerDetail, Clean(o.Detail))
	if o.Count > 0 {
		b = trailer(b, TrailerCount, strconv.Itoa(o.Count))
	}
	b = j.evidence(b, o)
	b = appendTime(b, TrailerTime, o.Time)
	b = appendTime(b, TrailerStamp, o.Stamp)
	j.text = b
	return string(b)
}

// evidence appends what is known about the frame and where it was seen.
func (j *Journal) evidence(b []byte, o *Observation) []byte {
	b = trailer(b, TrailerKind, Clean(o.Learned))
	if len(o.Frame) > 0 {
		b = append(b, TrailerFrame...)
		b = append(b, ": "...)
		b = hex.AppendEncode(b, o.Frame)
		b = append(b, '\n')
	}
	b = trailer(b, TrailerNode, j.cfg.Node)
	return trailer(b, TrailerInterface, Clean(o.Interface))
}

// appendLeft appends the trailer of an owner that a flood made lose an address.
func appendLeft(b []byte, o *Observation) []byte {
	b = append(b, TrailerLeft...)
	b = append(b, ": "...)
	b = append(b, Clean(o.Key.String())...)
	b = append(b, ' ')
	b = o.Old.AppendTo(b)
	b = append(b, ' ')
	b = o.LastSeen.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, ' ')
	b = strconv.AppendUint(b, o.Frames, 10)
	return append(b, '\n')
}
