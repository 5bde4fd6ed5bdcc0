package gitserve

import (
	"bytes"
	"fmt"
	"strconv"

	"arpeggio/vcs"
)

// commitNode is what walking the history needs of a commit.
type commitNode struct {
	parents []vcs.ID
	time    int64 // committer time, seconds of Unix time
}

// graph reads commits for one request and remembers them: about 150 bytes for
// each commit visited. It is not safe for concurrent use.
type graph struct {
	objects vcs.ObjectReader
	nodes   map[vcs.ID]*commitNode
}

func newGraph(objects vcs.ObjectReader) *graph {
	return &graph{objects: objects, nodes: map[vcs.ID]*commitNode{}}
}

// commit returns the node of a commit, and nil for an object of another kind.
// The error wraps vcs.ErrNotFound when there is no such object.
func (g *graph) commit(id vcs.ID) (*commitNode, error) {
	if n, ok := g.nodes[id]; ok {
		return n, nil
	}
	kind, content, err := g.objects.ReadObject(id)
	if err != nil {
		return nil, err
	}
	var n *commitNode
	if kind == vcs.KindCommit {
		if n, err = parseNode(content); err != nil {
			return nil, fmt.Errorf("gitserve: commit %s: %w", id, err)
		}
	}
	g.nodes[id] = n
	return n, nil
}

// parseNode scans a commit's headers. It is laxer than vcs.ParseCommit on
// purpose: imported history may hold old commits that fsck frowns on.
func parseNode(content []byte) (*commitNode, error) {
	n := new(commitNode)
	for len(content) > 0 && content[0] != '\n' {
		var line []byte
		line, content, _ = bytes.Cut(content, []byte("\n"))
		key, value, _ := bytes.Cut(line, []byte(" "))
		switch string(key) {
		case "parent":
			id, err := vcs.ParseID(string(value))
			if err != nil {
				return nil, fmt.Errorf("%w: bad parent header", vcs.ErrBadObject)
			}
			n.parents = append(n.parents, id)
		case "committer":
			fields := bytes.Fields(value[bytes.LastIndexByte(value, '>')+1:])
			if len(fields) > 0 {
				// A time that does not parse counts as 0, as in stock git.
				n.time, _ = strconv.ParseInt(string(fields[0]), 10, 64)
			}
			return n, nil
		}
	}
	return nil, fmt.Errorf("%w: no committer header", vcs.ErrBadObject)
}

// commits returns the commits among ids, annotated tags followed.
func (g *graph) commits(ids []vcs.ID) ([]vcs.ID, error) {
	var out []vcs.ID
	for _, id := range ids {
		peeled, err := peelID(g.objects, id)
		if err != nil {
			return nil, err
		}
		n, err := g.commit(peeled)
		if err != nil {
			return nil, err
		}
		if n != nil {
			out = append(out, peeled)
		}
	}
	return out, nil
}

// walk visits, once each, every commit reachable from the tips for which visit
// returned true on the way.
func (g *graph) walk(tips []vcs.ID, visit func(vcs.ID, *commitNode) (deeper bool)) error {
	seen := map[vcs.ID]bool{}
	stack := append([]vcs.ID(nil), tips...)
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[id] {
			continue
		}
		seen[id] = true
		n, err := g.commit(id)
		if err != nil {
			return err
		}
		if n != nil && visit(id, n) {
			stack = append(stack, n.parents...)
		}
	}
	return nil
}
