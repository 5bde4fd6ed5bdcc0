package versioned

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"arpeggio/arp"
	"arpeggio/vcs"
)

// Trailers of commits. Programs read these; the subject is for people.
const (
	TrailerCause     = "Arp-Cause"       // the change: learned, moved, expired, … or merge
	TrailerAddress   = "Arp-Address"     // the key
	TrailerMAC       = "Arp-MAC"         // the claimant's or new owner's
	TrailerOld       = "Arp-Old"         // the owner before
	TrailerRule      = "Arp-Rule"        // the rule that decided
	TrailerKind      = "Arp-Kind"        // of the frame, "solicited " before it when it was asked for
	TrailerFrame     = "Arp-Frame"       // the evidence in hexadecimal
	TrailerNode      = "Arp-Node"        // who saw it
	TrailerInterface = "Arp-Interface"   // where
	TrailerTime      = "Arp-Time"        // when, RFC 3339 with the fraction that Git's time lacks
	TrailerFolded    = "Arp-Folded"      // further changes that this commit stands for
	TrailerLost      = "Arp-Lost"        // records that found the ring full before this commit
	TrailerCounted   = "Arp-Counted"     // of a flood, once for each kind: how many, and of what
	TrailerEntries   = "Arp-Entries"     // of a flood: how many entries the commit changes
	TrailerTurned    = "Arp-Turned-Away" // of a flood: new addresses that are in no commit
	TrailerStations  = "Arp-Stations"    // of a flood: how many MAC addresses took part
	TrailerSince     = "Arp-Since"       // of a flood: when it or this part of it began
	TrailerBranch    = "Arp-Branch"      // of a merge: what was merged
)

// Causes of commits that are no change of a single entry.
const (
	CauseFlood    = "flood"    // many changes in one commit
	CauseMerge    = "merge"    // of two branches
	CauseObserved = "observed" // an observer's event, which changes no entry
)

// subject returns the first line of a change's commit.
func subject(c *arp.Change) string {
	k := Clean(c.Key.String())
	switch c.Op {
	case arp.OpMoved:
		return fmt.Sprintf("arp: %s -> %v (was %v)", k, c.MAC, c.Old)
	case arp.OpExpired:
		return fmt.Sprintf("arp: %s expired (was %v)", k, c.Old)
	case arp.OpPinned:
		return fmt.Sprintf("arp: %s pinned to %v", k, c.MAC)
	case arp.OpUnpinned:
		return fmt.Sprintf("arp: %s unpinned from %v", k, c.MAC)
	case arp.OpRefused:
		return fmt.Sprintf("arp: %s claim of %v refused, %v keeps it", k, c.MAC, c.Old)
	case arp.OpConflict:
		return fmt.Sprintf("arp: %s is ours and claimed by %v", k, c.MAC)
	case arp.OpQueryFailed:
		return fmt.Sprintf("arp: %s query timed out", k)
	}
	return fmt.Sprintf("arp: %s -> %v", k, c.MAC)
}

// title says for people what an item is.
func (it *item) title() string {
	if it.kind == itemFlood {
		return "the commit of a flood"
	}
	return subject(&it.change)
}

// message returns the whole text of an item's commit.
func (t *Table) message(it *item) string {
	if it.kind == itemFlood {
		return t.floodMessage(it)
	}
	c := &it.change
	var b strings.Builder
	b.WriteString(t.cfg.Wording.subject(c))
	b.WriteString("\n\n")
	add := func(key, value string) { fmt.Fprintf(&b, "%s: %s\n", key, value) }
	add(TrailerCause, c.Op.String())
	t.trailers(c, add)
	add(TrailerNode, t.cfg.Node)
	if i := Clean(c.Interface); i != "" {
		add(TrailerInterface, i)
	}
	add(TrailerTime, c.Time.UTC().Format(time.RFC3339Nano))
	if it.folded > 0 {
		add(TrailerFolded, strconv.Itoa(it.folded))
	}
	if it.lost > 0 {
		add(TrailerLost, strconv.Itoa(it.lost))
	}
	return b.String()
}

// trailers adds what a change is about and what it rests on.
func (t *Table) trailers(c *arp.Change, add func(key, value string)) {
	add(TrailerAddress, Clean(c.Key.String()))
	if !c.MAC.IsZero() {
		add(TrailerMAC, c.MAC.String())
	}
	if !c.Old.IsZero() {
		add(TrailerOld, c.Old.String())
		if !c.LastSeen.IsZero() {
			add(TrailerLastSeen, c.LastSeen.UTC().Format(time.RFC3339Nano))
		}
	}
	if r := Clean(c.Rule); r != "" {
		add(TrailerRule, r)
	}
	if c.Evidence.Len > 0 {
		kind := c.Evidence.Kind.String()
		if c.Evidence.Solicited {
			kind = solicited + kind
		}
		add(TrailerKind, kind)
		add(TrailerFrame, hex.EncodeToString(c.Evidence.Bytes()))
	}
}

// mergeMessage returns the text of a merge commit.
func (t *Table) mergeMessage(kind, what, branch string) string {
	return fmt.Sprintf("%s\n\n%s: %s\n%s: %s\n%s: %s\n",
		t.cfg.Wording.merge(kind, what), TrailerCause, CauseMerge, TrailerBranch, branch, TrailerNode, t.cfg.Node)
}

// info describes a commit of this node; the zero time is now.
func (t *Table) info(message string, at time.Time, empty bool) vcs.CommitInfo {
	if at.IsZero() {
		at = t.cfg.Clock()
	}
	who := vcs.Signature{Name: t.cfg.Node, Email: t.cfg.Node + "@" + t.cfg.Domain}
	return vcs.CommitInfo{Author: who, Committer: who, Message: message, Time: at, AllowEmpty: empty}
}
