package cli

import (
	"slices"
	"strings"
)

// Graph draws the lines of a history beside its commits, as git log --graph
// does: one column a lane, a lane waiting for the commit it leads to. Commits
// come with every child before its parents. The zero value is ready.
type Graph[ID comparable] struct {
	lanes []ID
	// joined is the lane that the last row moved another one into, plus one; 0
	// when it moved none.
	joined int
}

// Commit takes the next commit and the parents that will be shown. It returns
// the lanes before the commit's first line, and the rows, each a line of its
// own or before a further line of the commit, that lead to the next one.
func (g *Graph[ID]) Commit(id ID, parents []ID) (node string, after []string) {
	at := slices.Index(g.lanes, id)
	if at < 0 {
		at = len(g.lanes)
		g.lanes = append(g.lanes, id)
	}
	node = g.row(func(i int) byte {
		switch {
		case i == at:
			return '*'
		case i+1 == g.joined && len(parents) > 0 && g.lanes[i] == parents[0] && i == at+1:
			return '/' // it goes on to the left
		}
		return '|'
	})
	g.joined = 0
	if len(parents) == 0 {
		g.lanes = slices.Delete(g.lanes, at, at+1)
		if at < len(g.lanes) {
			after = append(after, g.shift(at+1, len(g.lanes)+1, func(row []byte) { row[2*at] = ' ' }))
		}
	} else {
		g.lanes[at] = parents[0]
		for n, p := range parents[1:] {
			// A new lane opens right of the ones that the commit has already.
			old := len(g.lanes)
			g.lanes = slices.Insert(g.lanes, at+1+n, p)
			row := blank(old + 1)
			for i := range old {
				row[2*i] = '|'
				if i > at+n {
					row[2*i], row[2*i+1] = ' ', '\\'
				}
			}
			row[2*(at+n)+1] = '\\'
			after = append(after, trim(row))
		}
	}
	return node, append(after, g.collapse()...)
}

// Lanes returns the lanes as they run on between two commits.
func (g *Graph[ID]) Lanes() string { return g.row(func(int) byte { return '|' }) }

// collapse joins lanes that lead to one commit, the right one into the left.
func (g *Graph[ID]) collapse() (rows []string) {
	for {
		i, j := g.twins()
		if j < 0 {
			return rows
		}
		g.joined = i + 1
		n := len(g.lanes)
		rows = append(rows, g.shift(j, n, func(row []byte) {
			for k := 2*(i+1) + 1; k < 2*j-1; k += 2 {
				row[k] = '_'
			}
		}))
		g.lanes = slices.Delete(g.lanes, j, j+1)
		if j > i+1 {
			row := []byte(g.Lanes())
			row[2*i+1] = '/'
			rows = append(rows, trim(row))
		}
	}
}

// twins finds two lanes to one commit, the leftmost pair first.
func (g *Graph[ID]) twins() (i, j int) {
	for i := range g.lanes {
		if k := slices.Index(g.lanes[i+1:], g.lanes[i]); k >= 0 {
			return i, i + 1 + k
		}
	}
	return -1, -1
}

// shift returns a row in which, of n lanes, those from one on move one column
// left. The caller adds what else the row holds.
func (g *Graph[ID]) shift(from, n int, add func([]byte)) string {
	row := blank(n)
	for i := range n {
		if i < from {
			row[2*i] = '|'
		} else {
			row[2*i-1] = '/'
		}
	}
	add(row)
	return trim(row)
}

func (g *Graph[ID]) row(mark func(i int) byte) string {
	row := blank(len(g.lanes))
	for i := range g.lanes {
		row[2*i] = mark(i)
	}
	return string(row)
}

func blank(lanes int) []byte { return []byte(strings.Repeat(" ", 2*lanes)) }

func trim(row []byte) string { return strings.TrimRight(string(row), " ") }
