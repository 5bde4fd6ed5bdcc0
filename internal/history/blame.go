package history

import (
	"container/heap"
	"context"
	"fmt"
	"strings"

	"arpeggio/vcs"
)

// Line is a line of a file and the commit that gave it its present form.
type Line struct {
	Number int // from 1
	Text   string
	Commit *vcs.Commit
}

// Blame says of each line of a file, as it is in a commit, where it comes from.
// It follows all parents of merges, as git blame does, and no renames.
func Blame(ctx context.Context, s *vcs.Store, path string, c *vcs.Commit) ([]Line, error) {
	b := blamer{s: s, path: path, index: s.PathIndex(path), wait: make(map[vcs.ID][]origin)}
	e, content, err := s.FileAt(c.ID, path)
	if err != nil {
		return nil, err
	}
	if e.Mode.Kind() != vcs.KindBlob {
		return nil, fmt.Errorf("%w file %s in %v", ErrUnknown, path, c.ID.Short())
	}
	lines := splitLines(content)
	b.out = make([]Line, len(lines))
	all := make([]origin, len(lines))
	for i, l := range lines {
		b.out[i] = Line{Number: i + 1, Text: strings.TrimSuffix(string(l), "\n")}
		all[i] = origin{i, i}
	}
	if err := b.suspect(c, all); err != nil {
		return nil, err
	}
	for len(b.q.items) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := b.examine(heap.Pop(&b.q).(timed).c); err != nil {
			return nil, err
		}
	}
	return b.out, nil
}

// origin is a line of the result and where it stands in a suspect's file.
type origin struct{ result, at int }

type blamer struct {
	s     *vcs.Store
	path  string
	index vcs.PathIndex // nil: there is none
	q     byTime
	wait  map[vcs.ID][]origin // lines for which a queued commit is suspected
	out   []Line
}

// suspect queues a commit for some lines, or rather the one behind it that may
// have changed the file.
func (b *blamer) suspect(c *vcs.Commit, lines []origin) error {
	if len(lines) == 0 {
		return nil
	}
	if b.index != nil {
		id, err := b.index.Skip(c.ID)
		if err == nil && id != c.ID {
			c, err = b.s.ReadCommit(id)
		}
		if err != nil {
			return err
		}
	}
	if _, queued := b.wait[c.ID]; !queued {
		b.q.n++
		heap.Push(&b.q, timed{c, c.Committer.When.Unix(), b.q.n})
	}
	b.wait[c.ID] = append(b.wait[c.ID], lines...)
	return nil
}

// examine hands the lines of a suspect on to the parents that have them and
// blames the rest on it.
func (b *blamer) examine(c *vcs.Commit) error {
	lines := b.wait[c.ID]
	delete(b.wait, c.ID)
	mine, content, err := b.s.FileAt(c.ID, b.path)
	if err != nil {
		return err
	}
	parents := make([]*vcs.Commit, len(c.Parents))
	entries := make([]vcs.TreeEntry, len(c.Parents))
	contents := make([][]byte, len(c.Parents))
	for i, p := range c.Parents {
		if parents[i], err = b.s.ReadCommit(p); err != nil {
			return err
		}
		if entries[i], contents[i], err = b.s.FileAt(p, b.path); err != nil {
			return err
		}
		if entries[i].ID == mine.ID {
			return b.suspect(parents[i], lines)
		}
	}
	file := splitLines(content)
	for i, p := range parents {
		if entries[i].ID.IsZero() || entries[i].Mode.Kind() != vcs.KindBlob {
			continue
		}
		old := splitLines(contents[i])
		from := make(map[int]int)
		compareLines(old, file).pairs(func(i, j int) { from[j] = i })
		var handed, kept []origin
		for _, l := range lines {
			if at, ok := from[l.at]; ok {
				handed = append(handed, origin{l.result, at})
			} else {
				kept = append(kept, l)
			}
		}
		if err := b.suspect(p, handed); err != nil {
			return err
		}
		lines = kept
	}
	for _, l := range lines {
		b.out[l.result].Commit = c
	}
	return nil
}
