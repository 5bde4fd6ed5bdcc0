package packfile

import (
	"bytes"
	"testing"

	"arpeggio/vcs"
)

// patch applies a delta as gitformat-pack(5) describes it.
func patch(t *testing.T, base, d []byte) []byte {
	t.Helper()
	size := func() (n int) {
		for shift := 0; ; shift += 7 {
			b := d[0]
			d = d[1:]
			n |= int(b&0x7f) << shift
			if b < 0x80 {
				return n
			}
		}
	}
	if n := size(); n != len(base) {
		t.Fatalf("delta is for a base of %d bytes, not %d", n, len(base))
	}
	want := size()
	var out []byte
	for len(d) > 0 {
		op := d[0]
		d = d[1:]
		if op == 0 {
			t.Fatal("reserved instruction")
		}
		if op < 0x80 {
			out = append(out, d[:op]...)
			d = d[op:]
			continue
		}
		var at, n int
		for i := range 4 {
			if op&(1<<i) != 0 {
				at |= int(d[0]) << (8 * i)
				d = d[1:]
			}
		}
		for i := range 3 {
			if op&(0x10<<i) != 0 {
				n |= int(d[0]) << (8 * i)
				d = d[1:]
			}
		}
		if n == 0 {
			n = 0x10000
		}
		out = append(out, base[at:at+n]...)
	}
	if len(out) != want {
		t.Fatalf("made %d bytes, announced %d", len(out), want)
	}
	return out
}

func checkDelta(t *testing.T, k vcs.Kind, base, target []byte) int {
	t.Helper()
	d := delta(nil, k, base, target)
	if got := patch(t, base, d); !bytes.Equal(got, target) {
		t.Fatalf("%v: %x from %x by %x is %x", k, target, base, d, got)
	}
	return len(d)
}

func TestDeltaOfOneEntryIsSmall(t *testing.T) {
	var entries []vcs.TreeEntry
	for i := range 5000 {
		entries = append(entries, vcs.TreeEntry{Name: string(rune('a'+i%26)) + string(rune('0'+i/26)), Mode: vcs.ModeFile, ID: vcs.HashObject(vcs.KindBlob, []byte{byte(i)})})
	}
	content := func(es []vcs.TreeEntry) []byte {
		tree, err := vcs.NewTree(es)
		if err != nil {
			t.Fatal(err)
		}
		return tree.Content()
	}
	base := content(entries)
	entries[3000].ID = vcs.EmptyTree
	if n := checkDelta(t, vcs.KindTree, base, content(entries)); n > 64 {
		t.Errorf("changed entry: %d bytes", n)
	}
	if n := checkDelta(t, vcs.KindTree, base, content(entries[1:])); n > 96 {
		t.Errorf("removed and changed entry: %d bytes", n)
	}
	if n := checkDelta(t, vcs.KindTree, content(entries[1:]), base); n > 128 {
		t.Errorf("added and changed entry: %d bytes", n)
	}
}

func TestDeltaOfLines(t *testing.T) {
	base := []byte("tree 1111111111111111\nparent 2222\nauthor a <b> 1700000000 +0000\n\nsubject\n\nCause: learned\nFrame: ffffffffffff0250008a7a370806000108000604000102\nNode: observer\n")
	target := []byte("tree 3333333333333333\nparent 4444\nauthor a <b> 1700000777 +0000\n\nother\n\nCause: learned\nDetail: x\nFrame: ffffffffffff0250001234560806000108000604000103\nNode: observer\n")
	if n := checkDelta(t, vcs.KindCommit, base, target); n > 100 {
		t.Errorf("%d bytes for a commit of %d", n, len(target))
	}
	if n := checkDelta(t, vcs.KindCommit, target, base); n > 95 {
		t.Errorf("%d bytes for a commit of %d", n, len(base))
	}
}

func FuzzDelta(f *testing.F) {
	id := string(vcs.EmptyTree[:])
	tree := "100644 a\x00" + id + "100644 b\x00" + id + "40000 c\x00" + id
	f.Add([]byte(tree), []byte(tree[30:]))
	f.Add([]byte("abcabc"), []byte("abc"))
	f.Add([]byte(""), bytes.Repeat([]byte("x"), 300))
	f.Add(bytes.Repeat([]byte("y"), 70000), bytes.Repeat([]byte("y"), 70001))
	f.Fuzz(func(t *testing.T, base, target []byte) {
		checkDelta(t, vcs.KindBlob, base, target)
		checkDelta(t, vcs.KindCommit, append([]byte("tree x\nparent y\n\n"), base...), append([]byte("tree z\n\n"), target...))
		checkDelta(t, vcs.KindTree, base, target)
		checkDelta(t, vcs.KindTree, base, append(base[:len(base):len(base)], target...))
	})
}
