package vcs

import "testing"

// TestNoteIndexWhileMade: whoever holds the lock of a log asks for states of
// notes, so that nobody may wait for that lock and keep the states to himself.
func TestNoteIndexWhileMade(t *testing.T) {
	empty := newFolder(nil)
	empty.hash()
	content := []byte("value\n")
	e := edit{"folder/file", ModeFile, HashObject(KindBlob, content), content}
	w := workTree{root: empty, own: &owner{collect: true}}
	if err := w.edit(e); err != nil {
		t.Fatal(err)
	}
	n := note{id: ID{1}, tree: w.root.hash(), changes: []leafChange{{path: e.path, now: fileNode(e, content)}}}
	var x noteIndex
	asked := false
	err := x.make([]note{n}, nil, func(ID) (*node, error) {
		asked = true
		if x.root(n.id) != nil {
			t.Error("a state is there before it is made")
		}
		return empty, nil
	})
	if err != nil || !asked {
		t.Fatal(err, asked)
	}
	if root := x.root(n.id); root == nil || root.id != n.tree {
		t.Errorf("the state is %v", root)
	}
	if _, ok := x.nodes[e.id]; !ok {
		t.Error("the file is not there")
	}
}

func fileNode(e edit, content []byte) *node {
	n := newFile(e.mode, content, nil)
	n.id, n.known = e.id, true
	return n
}
