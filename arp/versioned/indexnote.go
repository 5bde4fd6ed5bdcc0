package versioned

import (
	"time"

	"arpeggio/arp"
	"arpeggio/vcs"
)

// note takes in a commit that was just made on a parent, which spares Update
// reading it. What is not told by the message and the keys that it changed, as the
// commit of a flood, is left to Update, and so is all that follows it.
func (x *RecordIndex) note(parent, id vcs.ID, message string, at time.Time, changes []vcs.Change[arp.Key, Entry]) {
	if x == nil || x.Head() != parent {
		return
	}
	c := vcs.Commit{Message: message}
	r := indexRow{id: id, time: max(at.Unix(), 0), flags: rowCut}
	if r.trailers(c.Trailers()) || len(changes) > 0 && c.Trailer(TrailerAddress) == "" {
		return
	}
	if parent.IsZero() {
		r.flags |= rowEnd
	} else {
		r.time = max(r.time, x.headTime()) // as that of the commit
	}
	for i := range changes {
		r.addrs = append(r.addrs, addrTerm(changes[i].Key.Addr))
	}
	x.push(r)
}

// headTime returns the time of the newest commit.
func (x *RecordIndex) headTime() int64 {
	if n := len(x.tail); n > 0 {
		return x.tail[n-1].time
	}
	b := x.blocks[len(x.blocks)-1]
	return b.time(b.n - 1)
}
