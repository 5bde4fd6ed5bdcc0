package packfile

import (
	"encoding/binary"
	"fmt"

	"arpeggio/vcs"
)

// spillStride is how many records of the scratch lie between two places that are
// remembered.
const spillStride = 16

// spill puts each commit's tree and filter into the scratch, in the order that
// lets the trees be read from the ones before.
func (g *graphWriter) spill(order []uint32) error {
	c := changes{r: g.r}
	var buf []byte
	var last, lastTree vcs.ID // what is usually the next one's parent
	for k, i := range order {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		n := &g.nodes[i]
		l, err := g.links(n.id)
		if err != nil {
			return err
		}
		var old vcs.ID
		if len(l.parents) > 0 {
			if l.parents[0] != last {
				p, err := g.links(l.parents[0])
				if err != nil {
					return err
				}
				lastTree = p.tree
			}
			old = lastTree
		}
		last, lastTree = n.id, l.tree
		n.spilled = uint32(k)
		if err = c.between(old, l.tree); err == nil {
			err = g.spillOne(&buf, l.tree, c.filter)
		}
		if err != nil {
			return fmt.Errorf("commit %v: %w", n.id, err)
		}
	}
	return g.spillAll(&buf)
}

// record reads a commit's tree and filter back.
func (g *graphWriter) record(n *graphNode, buf []byte) (tree vcs.ID, filter []byte, err error) {
	k := n.spilled / spillStride
	at, end := g.ends[k], g.end
	if int(k)+1 < len(g.ends) {
		end = g.ends[k+1]
	}
	room := end - at
	if err := readAt(g.scratch, buf[:room], at); err != nil {
		return tree, nil, fmt.Errorf("packfile: commit-graph: %w", err)
	}
	b := buf[:room]
	for range n.spilled % spillStride {
		b = b[22+binary.BigEndian.Uint16(b[20:]):]
	}
	return vcs.ID(b), b[22 : 22+binary.BigEndian.Uint16(b[20:])], nil
}

// maxSpilled is the length of spillStride records of the largest filters.
const maxSpilled = spillStride * (22 + (bloomMaxPaths*bloomBits+7)/8)

// spillOne puts a commit's tree and filter into the scratch, by way of a buffer.
func (g *graphWriter) spillOne(buf *[]byte, tree vcs.ID, filter func([]byte) []byte) error {
	if g.spilled%spillStride == 0 {
		g.ends = append(g.ends, g.end)
	}
	g.spilled++
	at := len(*buf)
	b := append(*buf, tree[:]...)
	b = filter(append(b, 0, 0))
	size := len(b) - at - 22
	binary.BigEndian.PutUint16(b[at+20:], uint16(size))
	g.filters += uint64(size)
	g.end += int64(len(b) - at)
	if *buf = b; len(b) > pieceBytes-2048 {
		return g.spillAll(buf)
	}
	return nil
}

// spillAll empties the buffer.
func (g *graphWriter) spillAll(buf *[]byte) error {
	if _, err := g.scratch.WriteAt(*buf, g.end-int64(len(*buf))); err != nil {
		return fmt.Errorf("packfile: commit-graph: %w", err)
	}
	*buf = (*buf)[:0]
	return nil
}
