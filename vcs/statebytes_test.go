package vcs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"
)

// sampleState returns the state of a commit with files of all modes.
func sampleState(t testing.TB) *node {
	t.Helper()
	root, o := newFolder(nil), new(owner)
	for i := range 200 {
		path := fmt.Sprintf("d%d/e%d/k%d", i%3, i%7, i)
		now := newFile(ModeFile, fmt.Appendf(nil, "mac %d\n", i), nil)
		switch i % 50 {
		case 1:
			now.mode = ModeExecutable
		case 2:
			now = newFile(ModeSymlink, []byte("x"), nil)
		case 3:
			now = &node{mode: ModeSubmodule, id: ID{1, byte(i)}, known: true}
		case 4:
			path, now = fmt.Sprintf("k%d", i), newFile(ModeFile, []byte{}, nil)
		}
		var err error
		root, err = root.with(path, o, nil, leafFunc(func(*node) (*node, error) { return now, nil }))
		if err != nil {
			t.Fatal(err)
		}
	}
	root.hash()
	return root
}

// TestStateBytes: a state is read as it was written, by folders and by files, and
// one that was changed on the way is not taken for it.
func TestStateBytes(t *testing.T) {
	root := sampleState(t)
	b, err := appendState(nil, 3, 77, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	epoch, s, err := parseState(b)
	if err != nil || epoch != 3 || s.num != 77 {
		t.Fatal(epoch, s.num, err)
	}
	again, err := s.root()
	if err != nil {
		t.Fatal(err)
	}
	files := func(n *node) (all []string) {
		n.each(func(k *node) bool {
			all = append(all, fmt.Sprint(k.mode, k.id, string(k.file())))
			return true
		})
		return all
	}
	if a, b := fmt.Sprint(files(again)), fmt.Sprint(files(root)); a != b {
		t.Errorf("read %s, want %s", a, b)
	}
	if s.tree = (ID{1}); s.tree == root.id {
		t.Fatal(root.id)
	}
	if _, err := s.root(); err == nil {
		t.Error("it passes for another state")
	}
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 4
		if _, _, err := parseState(c); err == nil {
			t.Errorf("octet %d was changed, and nobody saw it", i)
		}
	}
	// A file whose content nobody has is not written.
	root.dir.kids[len(root.dir.kids)-1] = &node{mode: ModeFile, id: ID{9}, known: true}
	if _, err := appendState(nil, 3, 77, root, nil); err == nil {
		t.Error("a state without one of its files was written")
	}
}

// FuzzState: no bytes make a state of another tree than asked for.
func FuzzState(f *testing.F) {
	root := sampleState(f)
	good, err := appendState(nil, 1, 5, root, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-5])
	f.Add([]byte(stateMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if head := len(stateMagic) + 4; len(b) > head { // a checksum that is right, or nothing is reached
			b = bytes.Clone(b)
			binary.BigEndian.PutUint32(b[len(stateMagic):], crc32.Checksum(b[head:], castagnoli))
		}
		_, s, err := parseState(b)
		if err != nil || s.size > 1<<20 {
			return
		}
		if n, err := s.root(); err == nil && n.hash() != s.tree {
			t.Error("another tree")
		}
	})
}
