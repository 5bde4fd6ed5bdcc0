package gitremote

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"arpeggio/vcs"

	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
)

// Small packs are merged when there are more than maxPacks, into as few as leave
// at most keptPacks. A pack joins a merge also when it is no larger than what is
// merged already: sizes stay roughly geometric, so that an object is rewritten
// once each time the repository doubles, not with every merge.
const (
	maxPacks  = 12
	keptPacks = 4
)

// pack is one pack file and its size in objects.
type pack struct {
	name  string // pack-<checksum>, without extension
	count int64
	ids   []vcs.ID
}

// errUnmerged: packs stay as they are. Nothing is lost by that.
var errUnmerged = errors.New("gitremote: merge packs")

// consolidate merges small packs if there are many and returns how many packs
// there are then. The writers' lock is held. Errors wrap errUnmerged; packs that
// are damaged are left alone from then on.
func (d *Dir) consolidate() (int, error) {
	dir := filepath.Join(d.path, filepath.FromSlash(packDir))
	names, err := packNames(dir)
	if err != nil {
		return 0, err
	}
	if len(names)-len(d.unmergeable) <= maxPacks {
		return len(names), nil
	}
	packs := make([]pack, 0, len(names))
	for _, name := range names {
		if d.unmergeable[name] || exists(filepath.Join(dir, name+".keep")) {
			continue
		}
		p, err := readIndex(dir, name)
		if err != nil {
			return len(names), d.unmerged(err, p)
		}
		packs = append(packs, p)
	}
	merge := chooseMerge(packs)
	if len(merge) < 2 {
		return len(names), nil
	}
	seen := map[vcs.ID]bool{}
	var ids []vcs.ID
	for _, p := range merge {
		for _, id := range p.ids {
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	if err := d.merge(dir, merge, ids); err != nil {
		return len(names), d.unmerged(err, merge...)
	}
	return len(names) - len(merge) + 1, nil
}

// unmerged explains why packs were not merged, and remembers those that never
// will be: not for lack of room, say, but because they are damaged.
func (d *Dir) unmerged(err error, packs ...pack) error {
	if errors.Is(err, vcs.ErrCorrupt) || errors.Is(err, vcs.ErrNotFound) || errors.Is(err, ErrBadPack) {
		if d.unmergeable == nil {
			d.unmergeable = make(map[string]bool)
		}
		for _, p := range packs {
			d.unmergeable[p.name] = true
		}
	}
	return fmt.Errorf("%w: %w", errUnmerged, err)
}

// chooseMerge picks the smallest packs.
func chooseMerge(packs []pack) []pack {
	slices.SortFunc(packs, func(a, b pack) int { return cmp.Compare(a.count, b.count) })
	var sum int64
	for i, p := range packs {
		if len(packs)-i < keptPacks && p.count > sum {
			return packs[:i]
		}
		sum += p.count
	}
	return packs
}

func (d *Dir) merge(dir string, old []pack, ids []vcs.ID) error {
	s, err := stagePack(d, func(w io.Writer) error { return encodeList(w, d, ids) })
	if err != nil {
		return err
	}
	name := "pack-" + s.Sum().String()
	if err := s.publish(); err != nil {
		return err
	}
	// An index over several packs would name packs that are gone.
	if err := os.Remove(filepath.Join(dir, "multi-pack-index")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, p := range old {
		if p.name == name {
			continue
		}
		if err := removePack(dir, p.name); err != nil {
			return err
		}
	}
	d.refresh()
	return syncDir(dir)
}

// packNames lists the complete packs of a directory.
func packNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("gitremote: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".idx"); ok && strings.HasPrefix(name, "pack-") &&
			exists(filepath.Join(dir, name+".pack")) {
			names = append(names, name)
		}
	}
	return names, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// readIndex lists a pack's objects in the pack's order.
func readIndex(dir, name string) (pack, error) {
	p := pack{name: name}
	f, err := os.Open(filepath.Join(dir, name+".idx"))
	if err != nil {
		return p, fmt.Errorf("gitremote: %w", err)
	}
	defer f.Close()
	idx := idxfile.NewMemoryIndex()
	if err := idxfile.NewDecoder(f).Decode(idx); err != nil {
		return p, fmt.Errorf("%w: %s: %w", ErrBadPack, f.Name(), err)
	}
	it, err := idx.EntriesByOffset()
	if err != nil {
		return p, fmt.Errorf("gitremote: %s: %w", f.Name(), err)
	}
	for {
		e, err := it.Next()
		if err != nil {
			break // only ever the end
		}
		p.ids = append(p.ids, vcs.ID(e.Hash))
	}
	p.count = int64(len(p.ids))
	return p, it.Close()
}
