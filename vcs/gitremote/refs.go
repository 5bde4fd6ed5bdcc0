package gitremote

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"arpeggio/vcs"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// readRefs lists the refs of a repository, loose and packed, sorted by name.
// Symbolic refs are left out.
func readRefs(dir string) ([]vcs.Ref, error) {
	list, err := dotgit.New(noLocks{osfs.New(dir)}).Refs()
	if err != nil {
		return nil, fmt.Errorf("gitremote: read the refs of %s: %w", dir, err)
	}
	var refs []vcs.Ref
	for _, r := range list {
		name := r.Name().String()
		if r.Type() == plumbing.HashReference && strings.HasPrefix(name, "refs/") {
			refs = append(refs, vcs.Ref{Name: name, Target: vcs.ID(r.Hash())})
		}
	}
	sortRefs(refs)
	return slices.CompactFunc(refs, func(a, b vcs.Ref) bool { return a.Name == b.Name }), nil
}

// noLocks hides the lock files of refs from go-git, which would take them for
// refs, and refuse everything while another program moves one: they are empty
// then. No ref's name ends like that (git-check-ref-format(1)).
type noLocks struct{ billy.Filesystem }

// ReadDir implements billy.Dir.
func (n noLocks) ReadDir(path string) ([]fs.FileInfo, error) {
	list, err := n.Filesystem.ReadDir(path)
	// A lock that goes while it is looked at makes the whole folder look missing,
	// and its refs with it.
	for try := 0; try < 100 && errors.Is(err, fs.ErrNotExist); try++ {
		if _, serr := n.Filesystem.Stat(path); serr != nil {
			break // it is
		}
		list, err = n.Filesystem.ReadDir(path)
	}
	return slices.DeleteFunc(list, func(fi fs.FileInfo) bool { return strings.HasSuffix(fi.Name(), ".lock") }), err
}

func sortRefs(refs []vcs.Ref) {
	slices.SortStableFunc(refs, func(a, b vcs.Ref) int { return strings.Compare(a.Name, b.Name) })
}

// refMap indexes refs by name.
func refMap(refs []vcs.Ref) map[string]vcs.ID {
	m := make(map[string]vcs.ID, len(refs))
	for _, r := range refs {
		m[r.Name] = r.Target
	}
	return m
}

// writeRefs makes refs the only refs of the repository. All of them move by one
// rename; loose refs, which would hide them, go right after.
func writeRefs(dir string, refs []vcs.Ref, objects vcs.ObjectReader) error {
	text := []byte("# pack-refs with: peeled fully-peeled sorted \n")
	for _, r := range refs {
		text = fmt.Appendf(text, "%s %s\n", r.Target, r.Name)
		if strings.HasPrefix(r.Name, "refs/heads/") {
			continue
		}
		target, err := peel(objects, r.Target)
		if err != nil && !errors.Is(err, vcs.ErrNotFound) {
			return fmt.Errorf("gitremote: peel %s: %w", r.Name, err)
		}
		if err == nil && target != r.Target {
			text = fmt.Appendf(text, "^%s\n", target)
		}
	}
	if err := writeFile(filepath.Join(dir, "packed-refs"), text); err != nil {
		return err
	}
	return removeLooseRefs(dir)
}

// removeLooseRefs deletes the files below refs and the folders they leave.
func removeLooseRefs(dir string) error {
	root := filepath.Join(dir, "refs")
	var folders []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !e.IsDir():
			return os.Remove(path)
		case path != root && path != filepath.Join(root, "heads") && path != filepath.Join(root, "tags"):
			folders = append(folders, path)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("gitremote: remove loose refs: %w", err)
	}
	for _, folder := range slices.Backward(folders) {
		if err := os.Remove(folder); err != nil {
			return fmt.Errorf("gitremote: remove loose refs: %w", err)
		}
	}
	return nil
}

// maxTagDepth bounds chains of tags that tag tags.
const maxTagDepth = 32

// peel follows annotated tags to the object that they finally name.
func peel(objects vcs.ObjectReader, id vcs.ID) (vcs.ID, error) {
	for range maxTagDepth {
		kind, content, err := objects.ReadObject(id)
		if err != nil {
			return vcs.ID{}, err
		}
		if kind != vcs.KindTag {
			return id, nil
		}
		tag, err := vcs.ParseTag(content)
		if err != nil {
			return vcs.ID{}, err
		}
		id = tag.Target
	}
	return vcs.ID{}, errors.New("chain of tags is too long")
}
