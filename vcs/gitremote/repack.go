package gitremote

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"arpeggio/vcs"
)

// ErrKeepsUnreferenced: a directory whose unreferenced objects somebody may
// still want: it has reflogs, a work tree or borrowed objects.
var ErrKeepsUnreferenced = errors.New("gitremote: directory may need what its refs do not lead to")

// RepackOptions tunes Repack. The zero value works.
type RepackOptions struct {
	// Prune removes what no ref and no HEAD leads to, also when it is new: for
	// directories that nobody else writes meanwhile.
	Prune bool
}

// RepackReport says what Repack did.
type RepackReport struct {
	Packs, PacksBefore int   // pack files
	Bytes, BytesBefore int64 // of all files below objects
	Objects            int   // in the new pack
}

// Repack rewrites the packs of a bare Git directory as one, in which every
// object is a difference to its previous version where there is one. Nothing is
// removed before the new pack is durable; a crash leaves at worst both.
//
// The error wraps ErrNotRepository, ErrLocked while another writer of ours is at
// work, and, with Prune, ErrKeepsUnreferenced.
func Repack(dir string, opt RepackOptions) (RepackReport, error) {
	var rep RepackReport
	if err := checkRepository(dir); err != nil {
		return rep, err
	}
	if opt.Prune {
		if err := checkPrunable(dir); err != nil {
			return rep, err
		}
	}
	unlock, err := openForWriting(dir, defaultHead)
	if err != nil {
		return rep, err
	}
	defer unlock()
	d, err := OpenDir(dir)
	if err != nil {
		return rep, err
	}
	defer d.Close()
	packs := filepath.Join(dir, filepath.FromSlash(packDir))
	old, err := packNames(packs)
	if err != nil {
		return rep, err
	}
	rep.PacksBefore = len(old)
	if rep.BytesBefore, err = objectBytes(dir); err != nil {
		return rep, err
	}
	if opt.Prune {
		rep.Objects, err = d.prune(old)
	} else {
		rep.Objects, err = d.mergeAll(packs, old)
	}
	if err != nil {
		return rep, fmt.Errorf("gitremote: repack %s: %w", dir, err)
	}
	if old, err = packNames(packs); err != nil {
		return rep, err
	}
	rep.Packs = len(old)
	rep.Bytes, err = objectBytes(dir)
	return rep, err
}

// mergeAll puts the objects of all packs into one.
func (d *Dir) mergeAll(dir string, names []string) (int, error) {
	var merge []pack
	var ids []vcs.ID
	seen := map[vcs.ID]bool{}
	for _, name := range names {
		if exists(filepath.Join(dir, name+".keep")) {
			continue
		}
		p, err := readIndex(dir, name)
		if err != nil {
			return 0, err
		}
		merge = append(merge, p)
		for _, id := range p.ids {
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	if len(merge) < 2 {
		return 0, nil
	}
	return len(ids), d.merge(dir, merge, ids)
}

// prune keeps what refs and HEAD lead to.
func (d *Dir) prune(old []string) (int, error) {
	refs, err := readRefs(d.path)
	if err != nil {
		return 0, err
	}
	if id, err := detachedHead(d.path); err != nil {
		return 0, err
	} else if !id.IsZero() {
		refs = append(refs, vcs.Ref{Name: "HEAD", Target: id})
	}
	s, err := stagePack(d, func(w io.Writer) error { return encodeNew(w, d, nothing{}, refs, nil) })
	name, n := "", 0
	switch {
	case err == nil:
		name, n = "pack-"+s.Sum().String(), s.Len()
		if err := s.publish(); err != nil {
			return 0, err
		}
	case !errors.Is(err, errNoPack): // without refs nothing is kept
		return 0, err
	}
	objects := filepath.Join(d.path, "objects")
	graph := d.openChain() != nil
	// These name what will be gone.
	for _, stale := range []string{"info/commit-graph", "info/commit-graphs", "pack/multi-pack-index"} {
		if err := os.RemoveAll(filepath.Join(objects, filepath.FromSlash(stale))); err != nil {
			return 0, err
		}
	}
	dir := filepath.Join(objects, "pack")
	for _, p := range old {
		if p != name && !exists(filepath.Join(dir, p+".keep")) {
			if err := removePack(dir, p); err != nil {
				return 0, err
			}
		}
	}
	loose, err := filepath.Glob(filepath.Join(objects, "[0-9a-f][0-9a-f]", "*"))
	if err != nil {
		return 0, err
	}
	for _, f := range loose {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	d.refresh()
	if err := syncDir(dir); err != nil || !graph {
		return n, err
	}
	return n, d.writeGraph(refs, nil)
}

// removePack removes a pack. Its index goes first: without it the pack does not
// count.
func removePack(dir, name string) error {
	for _, ext := range []string{".idx", ".rev", ".bitmap", ".mtimes", ".pack"} {
		if err := os.Remove(filepath.Join(dir, name+ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkPrunable refuses directories that name objects elsewhere than in refs.
func checkPrunable(dir string) error {
	for _, s := range []struct{ path, what string }{
		{"logs", "reflogs"}, {"index", "a work tree"}, {"worktrees", "work trees"}, {"modules", "submodules"},
		{"objects/info/alternates", "borrowed objects"}, {"shallow", "a shallow history"},
	} {
		if exists(filepath.Join(dir, filepath.FromSlash(s.path))) {
			return fmt.Errorf("%w: %s has %s; use git -C %s gc", ErrKeepsUnreferenced, dir, s.what, dir)
		}
	}
	return nil
}

// detachedHead returns the commit that HEAD names without a branch, zero when it
// names a branch.
func detachedHead(dir string) (vcs.ID, error) {
	b, err := os.ReadFile(filepath.Join(dir, "HEAD"))
	if err != nil {
		return vcs.ID{}, fmt.Errorf("gitremote: %w", err)
	}
	if strings.HasPrefix(string(b), "ref:") {
		return vcs.ID{}, nil
	}
	id, err := vcs.ParseID(strings.TrimSpace(string(b)))
	if err != nil {
		return vcs.ID{}, fmt.Errorf("gitremote: %s: HEAD: %w", dir, err)
	}
	return id, nil
}

// objectBytes adds the sizes of the files below objects.
func objectBytes(dir string) (n int64, err error) {
	err = filepath.WalkDir(filepath.Join(dir, "objects"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if fi, err := e.Info(); err == nil {
			n += fi.Size()
		}
		return nil
	})
	return n, err
}
