package packfile

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"arpeggio/vcs"
)

// The parsers of this file take from an object what the walk needs and accept
// what old versions of git wrote, which vcs's strict ones refuse.

func isNotFound(err error) bool { return errors.Is(err, vcs.ErrNotFound) }

// links is where a commit leads.
type links struct {
	tree    vcs.ID
	parents []vcs.ID
	time    int64
}

func parseLinks(content []byte) (links, error) {
	var l links
	for first := true; ; first = false {
		line, rest, ok := bytes.Cut(content, []byte("\n"))
		if !ok || len(line) == 0 {
			return l, fmt.Errorf("%w: no committer header", vcs.ErrBadObject)
		}
		content = rest
		key, value, _ := bytes.Cut(line, []byte(" "))
		switch {
		case first || string(key) == "parent":
			id, err := vcs.ParseID(string(value))
			if err != nil || first && string(key) != "tree" {
				return l, fmt.Errorf("%w: bad %.20s header", vcs.ErrBadObject, key)
			}
			if first {
				l.tree = id
			} else {
				l.parents = append(l.parents, id)
			}
		case string(key) == "committer":
			f := bytes.Fields(value[bytes.LastIndexByte(value, '>')+1:])
			if len(f) > 0 {
				l.time, _ = strconv.ParseInt(string(f[0]), 10, 64) // an unreadable date is an old one
			}
			return l, nil
		}
	}
}

func tagTarget(content []byte) (vcs.ID, error) {
	line, _, _ := bytes.Cut(content, []byte("\n"))
	value, ok := bytes.CutPrefix(line, []byte("object "))
	if !ok {
		return vcs.ID{}, fmt.Errorf("%w: tag: no object header", vcs.ErrBadObject)
	}
	return vcs.ParseID(string(value))
}

// entry is one line of a tree; the name lies in the tree's content.
type entry struct {
	mode uint32
	name []byte
	id   vcs.ID
}

func (e entry) kind() vcs.Kind {
	switch e.mode & 0o170000 {
	case 0o040000:
		return vcs.KindTree
	case 0o160000:
		return vcs.KindCommit
	}
	return vcs.KindBlob
}

func nextEntry(b []byte) (e entry, rest []byte, err error) {
	i := 0
	for ; i < len(b) && i < 7 && b[i] >= '0' && b[i] <= '7'; i++ {
		e.mode = e.mode<<3 | uint32(b[i]-'0')
	}
	if i == 0 || i == len(b) || b[i] != ' ' {
		return e, nil, fmt.Errorf("%w: bad mode in a tree", vcs.ErrBadObject)
	}
	b = b[i+1:]
	n := bytes.IndexByte(b, 0)
	if n <= 0 || len(b) < n+1+len(e.id) {
		return e, nil, fmt.Errorf("%w: cut-off tree entry", vcs.ErrBadObject)
	}
	e.name = b[:n]
	e.id = vcs.ID(b[n+1:])
	return e, b[n+1+len(e.id):], nil
}

// cursor walks an earlier version of a tree beside the current one. In a tree
// whose entries are not sorted it misses some, which are then sent once more.
type cursor struct {
	rest []byte
	at   entry
	ok   bool
}

// find returns the id of the entry of the same name and kind.
func (c *cursor) find(e entry) (vcs.ID, bool) {
	for {
		if !c.ok {
			if len(c.rest) == 0 {
				return vcs.ID{}, false
			}
			var err error
			if c.at, c.rest, err = nextEntry(c.rest); err != nil {
				c.rest = nil
				return vcs.ID{}, false
			}
			c.ok = true
		}
		switch d := compare(c.at, e); {
		case d == 0:
			c.ok = false
			return c.at.id, c.at.kind() == e.kind()
		case d > 0:
			return vcs.ID{}, false
		}
		c.ok = false
	}
}

// compare is the order of tree entries: a folder's name counts as name/.
func compare(a, b entry) int {
	n := min(len(a.name), len(b.name))
	if d := bytes.Compare(a.name[:n], b.name[:n]); d != 0 {
		return d
	}
	return int(tail(a, n)) - int(tail(b, n))
}

func tail(e entry, n int) byte {
	switch {
	case n < len(e.name):
		return e.name[n]
	case e.kind() == vcs.KindTree:
		return '/'
	}
	return 0
}

// commitHeap orders commits newest first, equal times by arrival.
type commitHeap []queued

type queued struct {
	id   vcs.ID
	time int64
	seq  int
}

func (h commitHeap) Len() int { return len(h) }
func (h commitHeap) Less(i, j int) bool {
	return h[i].time > h[j].time || h[i].time == h[j].time && h[i].seq < h[j].seq
}
func (h commitHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *commitHeap) Push(x any)   { *h = append(*h, x.(queued)) }
func (h *commitHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
