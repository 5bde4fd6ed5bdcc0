package versioned

import (
	"bytes"
	"cmp"
	"strings"

	"arpeggio/arp"
	"arpeggio/vcs"
)

// Compare orders entries totally: by revision clock, then by how well founded
// they are, then by deadline, MAC address, and the bytes of their texts.
// Entries that compare equal are equal.
func Compare(a, b Entry) int {
	if c := cmp.Or(cmp.Compare(a.Clock, b.Clock), cmp.Compare(a.foundation(), b.foundation()),
		cmp.Compare(a.Deadline, b.Deadline), bytes.Compare(a.MAC[:], b.MAC[:])); c != 0 || a == b {
		return c
	}
	ta, _ := a.Encode() // one that cannot be written sorts as empty
	tb, _ := b.Encode()
	return bytes.Compare(ta, tb)
}

// foundation says how well founded an entry is: an operator's order before an
// answer to a question, before hearsay, before its end.
func (e *Entry) foundation() int {
	switch {
	case e.State == Expired:
		return 0
	case e.State == Static:
		return 3
	case strings.HasPrefix(e.Learned, solicited):
		return 2
	}
	return 1
}

// Join returns the greater of two entries. It is commutative, associative and
// idempotent: entries form a join-semilattice.
func Join(a, b Entry) Entry {
	if Compare(a, b) >= 0 {
		return a
	}
	return b
}

// Merge is the vcs.MergeFunc of the repository: the join of what both sides
// hold. An entry that one side removed and the other changed stays. There are
// no conflicts: expiry is an entry too, and whoever writes an entry raises its
// clock above all that it has seen.
func Merge(_ arp.Key, _, ours, theirs vcs.Opt[Entry]) (vcs.Opt[Entry], error) {
	switch {
	case !ours.Present:
		return theirs, nil
	case !theirs.Present:
		return ours, nil
	}
	return vcs.Some(Join(ours.Value, theirs.Value)), nil
}
