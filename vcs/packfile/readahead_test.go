package packfile_test

import (
	"bytes"
	"slices"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// bulk has some of its objects at hand.
type bulk struct {
	objects
	every       int // one in so many is at hand
	asked, read int
}

func (b *bulk) ReadAtHand(ids []vcs.ID, found []vcs.Object) {
	for i, id := range ids {
		if b.asked++; b.asked%b.every > 0 {
			continue
		}
		if kind, content, err := b.objects.ReadObject(id); err == nil {
			found[i] = vcs.Object{ID: id, Kind: kind, Content: content}
		}
	}
}

func (b *bulk) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	b.read++
	return b.objects.ReadObject(id)
}

// TestBulkReader: what is read in bulk makes the same pack, with and without
// deltas, and with trees as they are one that stock git takes.
func TestBulkReader(t *testing.T) {
	d := newDAG(5, 60)
	for _, cut := range []int{0, 1, 7} {
		last := len(d.commits) - 1
		sel := packfile.Selection{Wants: []vcs.ID{d.commits[last]}, OmitBlobs: true, BlobLimit: 1 << 20} // no additions
		if cut > 0 {
			sel.Cut = func(id vcs.ID) bool { return slices.Index(d.commits, id) <= last-cut }
		}
		for _, opt := range []packfile.Options{{}, {PlainTrees: true}} {
			want := pack(t, pick(t, d.objects, sel), opt)
			for _, every := range []int{1, 3, 1 << 30} {
				b := &bulk{objects: d.objects, every: every}
				set := pick(t, b, sel)
				b.asked, b.read = 0, 0
				if got := pack(t, set, opt); !bytes.Equal(got, want) {
					t.Errorf("cut %d, %+v, one object in %d at hand: another pack", cut, opt, every)
				}
				if b.asked < set.Len() || every == 1 && cut == 1 && b.read > set.Len()/2 {
					t.Errorf("cut %d: asked for %d of %d objects in bulk, read %d singly", cut, b.asked, set.Len(), b.read)
				}
			}
			dir := t.TempDir()
			vcstest.Git(t, dir, "init", "-q", "--bare", ".")
			args := []string{"index-pack", "--stdin"}
			if cut == 0 { // else parents are missing
				args = append(args, "--strict")
			}
			vcstest.GitInput(t, dir, want, args...)
		}
		plain, packed := pick(t, d.objects, sel), pick(t, d.objects, sel)
		if a, b := len(pack(t, plain, packfile.Options{PlainTrees: true})), len(pack(t, packed, packfile.Options{})); a <= b {
			t.Errorf("cut %d: %d bytes with trees as they are, %d else", cut, a, b)
		}
	}
}
