package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"arpeggio/internal/history"
	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

type bundleCmd struct {
	repoFlags
	printFlags
	Out  string   `arg:"" name:"out" help:"The file to write; - is standard output."`
	Revs []string `arg:"" optional:"" name:"rev" help:"Branches and tags (all); ^REV or A..BRANCH leaves out what the receiver has."`
}

func (*bundleCmd) Help() string {
	return `Write a history as a Git bundle, a file that git clone and git fetch read.
Exit codes: 0 ok, 1 failure, 2 usage.

Examples:

  arpeggio bundle --repo arp.git arp.bundle && git clone arp.bundle
  arpeggio bundle --repo arp.git today.bundle "yesterday 23:59"..primary`
}

// bundleJSON says what a bundle holds, for programs.
type bundleJSON struct {
	File  string            `json:"file"`
	Bytes int64             `json:"bytes"`
	Refs  map[string]string `json:"refs"`
	Needs []string          `json:"needs,omitempty"` // what the receiver must have
}

func (c *bundleCmd) Run(ctx context.Context) (err error) {
	if c.Out == "-" && c.JSON {
		return usagef("--json and the bundle cannot both go to standard output: name a file")
	}
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	refs, needs, err := c.contents(s)
	if err != nil {
		return err
	}
	if err := s.anythingNew(refs, needs); err != nil {
		return err
	}
	write := func(w io.Writer) error { return packfile.WriteBundle(ctx, w, s.Store, refs, needs) }
	if c.Out == "-" {
		if s.out.IsTerminal() {
			return usagef("a bundle is no text for a terminal: name a file")
		}
		if err := write(s.out); err != nil {
			return err
		}
		return s.out.Flush()
	}
	size, err := writeWhole(c.Out, write)
	if err != nil {
		return err
	}
	if !c.JSON {
		s.out.Printf("%s: %s, %d octets\n", c.Out, count(len(refs), "ref"), size)
		return nil
	}
	j := bundleJSON{File: c.Out, Bytes: size, Refs: make(map[string]string)}
	for _, r := range refs {
		j.Refs[r.Name] = r.Target.String()
	}
	for _, id := range needs {
		j.Needs = append(j.Needs, id.String())
	}
	s.out.JSON(j)
	return nil
}

// contents reads the arguments: the refs of the bundle and what it builds on.
func (c *bundleCmd) contents(s *session) (refs []vcs.Ref, needs []vcs.ID, err error) {
	leave := func(rev string) error {
		r, err := s.Resolve(rev)
		if err == nil {
			needs = append(needs, r.Commit.ID)
		}
		return err
	}
	for _, arg := range c.Revs {
		if rev, ok := strings.CutPrefix(arg, "^"); ok {
			if err := leave(rev); err != nil {
				return nil, nil, err
			}
			continue
		}
		name := arg
		if from, to, ok := strings.Cut(arg, ".."); ok {
			if err := leave(from); err != nil {
				return nil, nil, err
			}
			name = to
		}
		ref, err := s.ref(name)
		if err != nil {
			return nil, nil, err
		}
		refs = append(refs, ref)
	}
	if len(refs) > 0 {
		return refs, needs, nil
	}
	if refs, err = s.Store.Refs(); err != nil {
		return nil, nil, err
	}
	if len(refs) == 0 {
		return nil, nil, fmt.Errorf("%s has no branches and no tags yet: there is nothing to write", s.repo.Location)
	}
	if head, err := s.Head(); err == nil { // so that a clone knows what to check out
		refs = append(refs, vcs.Ref{Name: "HEAD", Target: head})
	}
	return refs, needs, nil
}

// anythingNew refuses a bundle that tells its receiver nothing, as git does.
func (s *session) anythingNew(refs []vcs.Ref, needs []vcs.ID) error {
	for _, r := range refs {
		tip, err := vcs.PeelCommit(s.Store, r.Target)
		if err != nil || tip != r.Target { // a tag is something, too
			return nil
		}
		known := false
		for _, id := range needs {
			if known, err = s.Store.IsAncestor(tip, id); known || err != nil {
				break
			}
		}
		if !known || err != nil {
			return err
		}
	}
	return errors.New("the bundle would be empty: what it leaves out is all that its branches hold")
}

// ref finds the branch or tag of a name: a bundle holds names, not bare commits.
func (s *session) ref(name string) (vcs.Ref, error) {
	if name == "" || name == "HEAD" {
		id, err := s.Head()
		return vcs.Ref{Name: "HEAD", Target: id}, err
	}
	for _, full := range []string{name, vcs.TagRef(name), vcs.BranchRef(name)} {
		if id, ok := s.Store.Ref(full); ok {
			return vcs.Ref{Name: full, Target: id}, nil
		}
	}
	if _, err := s.Resolve(name); err != nil {
		return vcs.Ref{}, err
	}
	return vcs.Ref{}, withHint(fmt.Errorf("%w branch or tag %s: a bundle holds names", history.ErrUnknown, name), "name the commit first: arpeggio branch NAME %s", name)
}

// writeWhole writes a file that appears under its name only when it is whole.
func writeWhole(name string, write func(io.Writer) error) (size int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".bundle-*")
	if err != nil {
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathErr.Err // without the temporary name
		}
		return 0, fmt.Errorf("%s cannot be made in %s: %w", filepath.Base(name), filepath.Dir(name), err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	w := bufio.NewWriterSize(f, 64<<10)
	if err := write(w); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if err := f.Chmod(0o644); err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	return info.Size(), os.Rename(f.Name(), name)
}
