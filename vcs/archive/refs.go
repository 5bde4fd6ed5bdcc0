package archive

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"arpeggio/vcs"
)

// Prefixes of an archive's refs.
const (
	headsPrefix   = "refs/epochs-heads/"
	replacePrefix = "refs/replace/"
)

// EpochHeadRef returns where another ref of an epoch is kept, such as
// refs/epochs-heads/3/tags/v1 for refs/tags/v1.
func EpochHeadRef(epoch int, ref string) string {
	return fmt.Sprintf("%s%d/%s", headsPrefix, epoch, strings.TrimPrefix(ref, "refs/"))
}

// refs makes packed-refs, and HEAD, those of the epochs that are there. All refs
// move together by one rename.
func (s *snapshot) refs() error {
	var all []Ref
	add := func(name string, target, peeled vcs.ID) {
		all = append(all, Ref{vcs.Ref{Name: name, Target: target}, peeled})
	}
	replaced := map[string]bool{}
	for i, in := range s.list {
		add(vcs.EpochRef(in.Epoch), in.Head, in.Head)
		if i == len(s.list)-1 && strings.HasPrefix(in.HeadRef, vcs.BranchRef("")) {
			add(in.HeadRef, in.Head, in.Head)
		}
		for _, r := range in.Refs {
			if ok, err := s.has(r.Peeled); err != nil {
				return err
			} else if ok {
				add(EpochHeadRef(in.Epoch, r.Name), r.Target, r.Peeled)
			}
		}
		for _, r := range in.Roots {
			if len(r.ReplacementBytes) == 0 || vcs.HashObject(vcs.KindCommit, r.ReplacementBytes) != r.Replacement {
				continue
			}
			if ok, err := s.has(r.Old); err != nil {
				return err
			} else if !ok {
				continue
			}
			if err := s.d.writeLoose(r.Replacement, r.ReplacementBytes); err != nil {
				return err
			}
			add(replacePrefix+r.Root.String(), r.Replacement, r.Replacement)
			replaced[s.d.loosePath(r.Replacement)] = true
		}
	}
	slices.SortFunc(all, func(a, b Ref) int { return strings.Compare(a.Name, b.Name) })
	if err := s.d.writeRefs(all); err != nil {
		return err
	}
	if n := len(s.list); n > 0 && strings.HasPrefix(s.list[n-1].HeadRef, vcs.BranchRef("")) {
		if err := s.d.writeIfOther("HEAD", "ref: "+s.list[n-1].HeadRef+"\n"); err != nil {
			return err
		}
	}
	return s.d.removeLoose(replaced)
}

func (d *Dir) writeRefs(refs []Ref) error {
	var b strings.Builder
	b.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for _, r := range refs {
		fmt.Fprintf(&b, "%v %s\n", r.Target, r.Name)
		if r.Peeled != r.Target {
			fmt.Fprintf(&b, "^%v\n", r.Peeled)
		}
	}
	return d.writeIfOther("packed-refs", b.String())
}

func (d *Dir) writeIfOther(name, text string) error {
	if old, err := os.ReadFile(d.at(name)); err == nil && string(old) == text {
		return nil
	}
	return d.files.write(d.at(name), []byte(text), 0o644)
}

func (d *Dir) loosePath(id vcs.ID) string {
	hex := id.String()
	return filepath.Join(d.path, "objects", hex[:2], hex[2:])
}

// writeLoose stores a replacement commit, which belongs to two epochs and so is
// in no pack.
func (d *Dir) writeLoose(id vcs.ID, content []byte) error {
	path := d.loosePath(id)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	fmt.Fprintf(z, "commit %d\x00", len(content))
	z.Write(content)
	if err := z.Close(); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if err := d.files.mkdir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if err := d.files.write(path, b.Bytes(), 0o444); err != nil {
		return err
	}
	return d.files.syncDir(d.at("objects"))
}

// removeLoose removes the loose objects that no ref names any more.
func (d *Dir) removeLoose(keep map[string]bool) error {
	found, err := filepath.Glob(filepath.Join(d.path, "objects", "[0-9a-f][0-9a-f]", "*"))
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	for _, path := range found {
		if keep[path] {
			continue
		}
		if err := d.remove(path); err != nil {
			return err
		}
		if err := os.Remove(filepath.Dir(path)); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("archive: %w", err)
		}
	}
	return nil
}
