package archive

import (
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// onlyEpoch is a store from which older epochs have gone.
type onlyEpoch struct {
	*vcs.Store
	has map[vcs.ID]bool
	eps []vcs.Epoch
}

func (o onlyEpoch) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	kind, content, err := o.Store.ReadObject(id)
	if err == nil && kind == vcs.KindCommit && !o.has[id] {
		return 0, nil, vcs.ErrNotFound
	}
	return kind, content, err
}

func (o onlyEpoch) Epochs() []vcs.Epoch { return o.eps }

// A history that goes on from the store through three archived epochs is that of
// stock git, in its order, and of what the store acknowledged.
func TestJoin(t *testing.T) {
	for _, format := range []Format{Pack, Bundle} {
		t.Run(format.String(), func(t *testing.T) {
			p := newPast(t)
			d := openDir(t, filepath.Join(t.TempDir(), "a"), Config{Format: format})
			for seed := range uint64(3) {
				p.archive(d, p.live(seed, 40))
			}
			now := p.live(3, 40)
			live := onlyEpoch{Store: p.repo.Store(), has: map[vcs.ID]bool{}, eps: p.epochs}
			for _, id := range p.acked[3] {
				live.has[id] = true
			}
			h, err := d.Join(t.Context(), live)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := h.Close(); err != nil {
					t.Error(err)
				}
			}()
			head := ref(now, "refs/heads/b0")
			var ids []string
			for c, err := range h.Log(head) {
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, c.ID.String())
			}
			order := strings.Join(ids, "\n")
			if got, want := lines(ids), p.reached(head); got != want {
				t.Errorf("%d bytes of commits, want %d", len(got), len(want))
			}
			if ok, err := vcs.IsAncestor(h, ref(p.epochs[0], "refs/heads/b0"), head); !ok || err != nil {
				t.Errorf("the first epoch is not an ancestor: %v", err)
			}
			if format == Bundle {
				return
			}
			p.archive(d, now)
			if want := vcstest.Git(t, d.path, "log", "--format=%H", head.String()); order != want {
				t.Error("the order is not that of git log")
			}
		})
	}
}

// Without the epoch before, a root stays the end of the history.
func TestJoinAcrossAGap(t *testing.T) {
	p := newPast(t)
	d := openDir(t, t.TempDir(), Config{})
	for seed := range uint64(3) {
		p.archive(d, p.live(seed, 20))
	}
	if err := d.removeEpoch(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	fsck(t, d.path)
	h, err := d.Join(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.epochs[2].Roots {
		if h.Joined(r.Root) {
			t.Errorf("%v is joined to what is not there", r.Root)
		}
	}
	n := 0
	for _, err := range h.Log(ref(p.epochs[2], "refs/heads/b0")) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n == 0 || n > len(p.acked[2]) {
		t.Errorf("%d commits", n)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if _, err := h.ReadCommit(p.acked[2][0]); err == nil {
		t.Error("read after Close")
	}
}
