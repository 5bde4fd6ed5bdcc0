package recording

import (
	"net/netip"
	"slices"
	"strings"

	"arpeggio/vcs"
)

// Connection is what a comment says of the two ends, ours first.
type Connection struct {
	Proto  string         `json:"proto"` // tcp or udp
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote"`
}

// Change is a change of state, in the words of RFC 9293.
type Change struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// String returns the change as comments have it.
func (c Change) String() string { return c.From + " → " + c.To }

// Comment is what stands beside a packet.
type Comment struct {
	Connection *Connection `json:"connection,omitempty"`
	States     []Change    `json:"states,omitempty"`  // that the packet has caused, or tells of
	Commits    []string    `json:"commits,omitempty"` // that rest on it
	Notes      []string    `json:"notes,omitempty"`   // what else it says, in its own words
}

// ParseComment takes a packet's comment apart. What others have written is a note.
func ParseComment(text string) (c Comment) {
	for part := range strings.SplitSeq(text, "; ") {
		from, to, change := strings.Cut(part, " → ")
		words := strings.Split(part, " ")
		switch {
		case part == "":
		case change && stateName(from) != "" && stateName(to) != "":
			c.States = append(c.States, Change{stateName(from), stateName(to)})
		case len(words) == 2 && words[0] == "commit" && isID(words[1]):
			c.Commits = append(c.Commits, words[1])
		case len(words) == 3 && c.Connection == nil && (words[0] == "tcp" || words[0] == "udp"):
			local, err := netip.ParseAddrPort(words[1])
			remote, err2 := netip.ParseAddrPort(words[2])
			if err == nil && err2 == nil {
				c.Connection = &Connection{words[0], local, remote}
				break
			}
			fallthrough
		default:
			c.Notes = append(c.Notes, part)
		}
	}
	return c
}

// stateName returns the name of a state, "" for what is none. The text that it was
// found in is not kept.
func stateName(s string) string {
	names := stateNames()
	if i := slices.Index(names[:], s); i >= 0 {
		return names[i]
	}
	return ""
}

func isID(s string) bool {
	_, err := vcs.ParseID(s)
	return err == nil
}
