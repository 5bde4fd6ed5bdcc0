package gitremote

import (
	"io/fs"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
)

// completePacks hides packs without an index from go-git, which would refuse to
// read anything at all because of them. A crash of ours or of stock git's leaves
// such packs, and so does, for a moment, every removal.
type completePacks struct{ billy.Filesystem }

// ReadDir implements billy.Dir.
func (c completePacks) ReadDir(path string) ([]fs.FileInfo, error) {
	list, err := c.Filesystem.ReadDir(path)
	if err != nil || !strings.HasSuffix(path, "pack") {
		return list, err
	}
	indexed := map[string]bool{}
	for _, fi := range list {
		if name, ok := strings.CutSuffix(fi.Name(), ".idx"); ok {
			indexed[name] = true
		}
	}
	return slices.DeleteFunc(list, func(fi fs.FileInfo) bool {
		name, ok := strings.CutSuffix(fi.Name(), ".pack")
		return ok && !indexed[name]
	}), nil
}
