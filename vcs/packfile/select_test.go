package packfile_test

import (
	"fmt"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// A commit that is dated before its parent and swaps two folders of it: what both
// folders hold is not in the one nor in the other's difference.
func TestSwapBeforeParent(t *testing.T) {
	d := &dag{objects: objects{}}
	commit := func(date int, tree vcs.ID, parents string) vcs.ID {
		return d.add(vcs.KindCommit, fmt.Sprintf("tree %v\n%sauthor a <a@b> %d +0000\ncommitter a <a@b> %d +0000\n\nm\n", tree, parents, date, date))
	}
	parent := commit(100, d.tree(map[string]string{"x/both": "1", "x/a": "2", "y/both": "1", "y/b": "3"}), "")
	child := commit(50, d.tree(map[string]string{"y/both": "1", "y/a": "2", "x/both": "1", "x/b": "3"}), fmt.Sprintf("parent %v\n", parent))
	set := pick(t, d, packfile.Selection{Wants: []vcs.ID{child, parent}})
	for id := range d.objects {
		if !set.Has(id) {
			t.Errorf("%v is not selected", d.objects[id].Kind)
		}
	}
}
