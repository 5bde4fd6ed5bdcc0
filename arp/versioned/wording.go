package versioned

import (
	"fmt"

	"arpeggio/arp"
)

// Wording chooses the subjects of commits. Trailers are the same in all.
type Wording uint8

// Wordings.
const (
	// WordingOwn is this package's: "arp: 10.9.0.7 -> 02:…:0a".
	WordingOwn Wording = iota
	// Wording2015 is that of the ARP cache of 2015, as far as that had words for
	// what happened, so that its article's commit graph can be read off ours. A
	// query is then a commit already when it is asked.
	Wording2015
)

// subject returns the first line of a change's commit.
func (w Wording) subject(c *arp.Change) string {
	if w == Wording2015 {
		k := Clean(c.Key.String())
		switch c.Op {
		case arp.OpLearned:
			if c.Evidence.Solicited {
				return fmt.Sprintf("entry resolved: %s -> %v", k, c.MAC)
			}
			return fmt.Sprintf("entry added: %s -> %v", k, c.MAC)
		case arp.OpMoved:
			return fmt.Sprintf("entry updated: %s -> %v", k, c.MAC)
		case arp.OpExpired:
			return "Arp.tick: updating to age out old entries"
		case arp.OpQueryFailed:
			return "Arp.query: query timed out for ip " + k
		}
	}
	return subject(c)
}

// merge returns the subject of a merge: what says what is merged, and kind is
// that of its branch.
func (w Wording) merge(kind, what string) string {
	if w == Wording2015 {
		switch kind {
		case Learn, kindQuery:
			return "Arp.notify: merge notify branch"
		case kindExpire:
			return "Arp.tick: merge expiry branch"
		}
	}
	return "arp: merge " + what
}

// initial returns the subject of a repository's first commit.
func (w Wording) initial() string {
	if w == Wording2015 {
		return "Arp.create: Initial empty cache"
	}
	return "arp: initial empty cache"
}

// launched returns the subject of the commit that a query begins with, empty
// for none.
func (w Wording) launched(k arp.Key) string {
	if w == Wording2015 {
		return "Arp.query: query thread launched for ip " + Clean(k.String())
	}
	return ""
}
