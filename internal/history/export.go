package history

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"arpeggio/vcs"
)

// WriteFiles writes a commit's files below a directory, which must exist.
// Nothing is written outside of it, whatever the tree says. Submodules become
// empty folders.
func WriteFiles(ctx context.Context, s *vcs.Store, c *vcs.Commit, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for ch, err := range vcs.DiffTrees(s, vcs.ID{}, c.Tree) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = writeFile(s, root, ch.Path, ch.New)
		}
		if err != nil {
			return fmt.Errorf("write the files of %v: %w", c.ID.Short(), err)
		}
	}
	return nil
}

func writeFile(s *vcs.Store, root *os.Root, name string, e vcs.TreeEntry) error {
	name = filepath.FromSlash(name)
	if e.Mode == vcs.ModeSubmodule {
		return root.MkdirAll(name, 0o777)
	}
	content, err := blob(s, e)
	if err != nil {
		return err
	}
	if folder := path.Dir(filepath.ToSlash(name)); folder != "." {
		if err := root.MkdirAll(filepath.FromSlash(folder), 0o777); err != nil {
			return err
		}
	}
	switch e.Mode {
	case vcs.ModeSymlink:
		return root.Symlink(string(content), name)
	case vcs.ModeExecutable:
		return root.WriteFile(name, content, 0o777)
	}
	return root.WriteFile(name, content, 0o666)
}
