package gitremote

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

var _ vcs.PrefixFinder = (*Dir)(nil)

// FindPrefix implements vcs.PrefixFinder with the indexes of the packs and the
// names of loose objects. It does not know in a directory that borrows objects.
func (d *Dir) FindPrefix(prefix string) ([]vcs.ID, bool, error) {
	if exists(filepath.Join(d.path, "objects", "info", "alternates")) {
		return nil, false, nil
	}
	prefix = strings.ToLower(prefix)
	if len(prefix) < 2 || len(prefix) > 40 {
		return nil, false, nil
	}
	var from vcs.ID
	if _, err := hex.Decode(from[:], []byte(prefix + "0")[:(len(prefix)+1)/2*2]); err != nil {
		return nil, true, nil // no id begins so
	}
	dir := filepath.Join(d.path, filepath.FromSlash(packDir))
	packs, err := packNames(dir)
	if err != nil {
		return nil, false, err
	}
	var out []vcs.ID
	for _, p := range packs {
		f, err := os.Open(filepath.Join(dir, p+".idx"))
		if os.IsNotExist(err) {
			return nil, false, nil // packs are being merged
		}
		if err != nil {
			return nil, false, fmt.Errorf("gitremote: %w", err)
		}
		found, err := packfile.IndexPrefix(f, from, len(prefix))
		f.Close()
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", f.Name(), err)
		}
		out = append(out, found...)
	}
	loose, err := os.ReadDir(filepath.Join(d.path, "objects", prefix[:2]))
	if err != nil && !os.IsNotExist(err) {
		return nil, false, fmt.Errorf("gitremote: %w", err)
	}
	for _, e := range loose {
		if id, err := vcs.ParseID(prefix[:2] + e.Name()); err == nil && packfile.BeginsWith(id, from, len(prefix)) {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b vcs.ID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(out), true, nil
}
