package main

import (
	"context"
	"fmt"
	"strings"

	"arpeggio/internal/cli"
	"arpeggio/internal/history"
	"arpeggio/vcs"
)

type showCmd struct {
	repoFlags
	printFlags
	Rev string `arg:"" optional:"" default:"HEAD" name:"rev[:path]" help:"A revision or a time (HEAD); with :PATH or :ADDRESS, the file as it was then."`
}

func (*showCmd) Help() string {
	return `A commit with what it changed against its first parent, and the frame that it
rests on in words; or a file or folder as it is in a commit. Exit codes: 0 ok,
1 failure, 2 usage.

Examples:

  arpeggio show --repo arp.git primary~3
  arpeggio show --repo arp.git "12:03":10.9.0.20`
}

func (c *showCmd) Run(ctx context.Context) (err error) {
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	rev, path, hasPath, err := s.cutPath(c.Rev)
	if err != nil {
		return err
	}
	r, err := s.Resolve(rev)
	if err != nil {
		return err
	}
	s.out.Page()
	if hasPath {
		return s.showFiles(r.Commit, []history.Spec{history.ParseSpec(path)})
	}
	old, err := s.firstParent(r.Commit)
	if err != nil {
		return err
	}
	d := differ{session: s, old: old, now: r.Commit, patch: true}
	if c.JSON {
		j := toJSON(r.Commit, s.heads()[r.Commit.ID])
		j.Evidence = evidenceOf(r.Commit).json()
		s.out.JSON(j)
		_, err := d.print(nil)
		return err
	}
	s.out.Printf("%s\n", strings.Join(s.full(r.Commit, s.heads()[r.Commit.ID]), "\n"))
	if e := evidenceOf(r.Commit); e != nil {
		s.out.Printf("%s\n", strings.Join(e.words(), "\n"))
	}
	_, err = d.print(nil)
	return err
}

// cutPath splits REV:PATH. A time has colons too, so that what is a revision as
// a whole has no path, and of several splits the longest revision counts.
func (s *session) cutPath(arg string) (rev, path string, ok bool, err error) {
	if _, err = s.Resolve(arg); err == nil || !strings.Contains(arg, ":") {
		return arg, "", false, err
	}
	for i, r := range arg {
		if r != ':' {
			continue
		}
		if _, rerr := s.Resolve(arg[:i]); rerr == nil {
			rev, path, ok = arg[:i], arg[i+1:], true
			if spec := history.ParseSpec(path); spec.Addr.IsValid() {
				return rev, path, true, nil // an IPv6 address has colons too
			}
		}
	}
	if !ok {
		before, _, _ := strings.Cut(arg, ":")
		_, err = s.Resolve(before)
		return "", "", false, err
	}
	return rev, path, true, nil
}

// firstParent returns nil for a commit without parents.
func (s *session) firstParent(c *vcs.Commit) (*vcs.Commit, error) {
	if len(c.Parents) == 0 {
		return nil, nil
	}
	return s.Store.ReadCommit(c.Parents[0])
}

// fileJSON is a file, or an entry of a folder, for programs.
type fileJSON struct {
	Commit  string  `json:"commit"`
	Path    string  `json:"path"`
	Mode    string  `json:"mode"`
	Object  string  `json:"object"`
	Content *string `json:"content,omitempty"` // of files
}

// showFiles prints files, and the names in folders.
func (s *session) showFiles(c *vcs.Commit, specs []history.Spec) error {
	found, err := history.Require(s.Store, c, specs)
	if err != nil {
		return err
	}
	for _, m := range found {
		if len(found) > 1 && !s.out.IsJSON() {
			s.out.Printf("%s\n", s.out.Paint(cli.Heading, history.Quote(m.Path)+":"))
		}
		if err := s.showFile(c, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) showFile(c *vcs.Commit, m history.Match) error {
	j := fileJSON{Commit: c.ID.String(), Path: m.Path, Mode: m.Entry.Mode.String(), Object: m.Entry.ID.String()}
	if m.Entry.Mode.IsDir() {
		t, err := s.Store.ReadTree(m.Entry.ID)
		if err != nil {
			return err
		}
		for i := range t.Len() {
			e := t.Entry(i)
			if s.out.IsJSON() {
				s.out.JSON(fileJSON{Commit: j.Commit, Path: strings.TrimPrefix(m.Path+"/"+e.Name, "/"), Mode: e.Mode.String(), Object: e.ID.String()})
				continue
			}
			if e.Mode.IsDir() {
				e.Name += "/"
			}
			s.out.Printf("%s\n", history.Quote(e.Name))
		}
		return nil
	}
	if m.Entry.Mode == vcs.ModeSubmodule {
		return fmt.Errorf("%s is a submodule at %v, whose files are in another repository", history.Quote(m.Path), m.Entry.ID)
	}
	_, content, err := s.Store.ReadObject(m.Entry.ID)
	if err != nil {
		return err
	}
	text := string(content)
	switch {
	case s.out.IsJSON():
		j.Content = &text
		s.out.JSON(j)
	case s.out.IsTerminal():
		s.out.Printf("%s", cli.Clean(text, true))
	default:
		s.out.Printf("%s", text)
	}
	return nil
}
