package main

import (
	"context"
	"slices"

	"arpeggio/internal/cli"
	"arpeggio/vcs"
)

type verifyCmd struct {
	repoFlags
	printFlags
}

func (*verifyCmd) Help() string {
	return `Check that all that branches and tags lead to is there and hashes to its name:
every commit, and every folder and file of each head. In a store also that no
file of it is damaged: opening one, by whatever command, sets damaged files aside
in a folder of it, and that folder is a problem until you delete it. Exit codes:
0 all is well, 1 problems, which are named, or failure, 2 usage.

Example:

  arpeggio verify --repo arp.git`
}

// problemJSON is something missing or damaged, for programs: an object, or a
// file of a store, which has neither Ref nor Object.
type problemJSON struct {
	Ref    string `json:"ref,omitempty"`
	Object string `json:"object,omitempty"`
	Path   string `json:"path,omitempty"`
	Error  string `json:"error"`
}

// verifyJSON is the last line for programs.
type verifyJSON struct {
	OK       bool `json:"ok"`
	Refs     int  `json:"refs"`
	Commits  int  `json:"commits"`
	Trees    int  `json:"trees"`
	Blobs    int  `json:"blobs"`
	Problems int  `json:"problems"`
}

func (c *verifyCmd) Run(ctx context.Context) (err error) {
	c.tells = true
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	refs, err := s.Store.Refs()
	if err != nil {
		return err
	}
	if !s.Detached.IsZero() {
		refs = append(refs, vcs.Ref{Name: "HEAD", Target: s.Detached})
	}
	rep, err := vcs.Verify(ctx, s.Store, refs, nil)
	if err != nil {
		return err
	}
	files := slices.DeleteFunc(s.repo.Problems(), func(p vcs.Problem) bool { return !p.ID.IsZero() }) // objects are found again
	rep.Problems = append(files, rep.Problems...)
	for _, p := range rep.Problems {
		if c.JSON {
			j := problemJSON{Ref: p.Ref, Path: p.Path, Error: p.Err.Error()}
			if !p.ID.IsZero() {
				j.Object = p.ID.String()
			}
			s.out.JSON(j)
		} else {
			s.out.Printf("%s %s\n", s.out.Paint(cli.Removed, "problem"), cli.Clean(p.String(), false))
		}
	}
	if c.JSON {
		s.out.JSON(verifyJSON{rep.OK(), rep.Refs, rep.Commits, rep.Trees, rep.Blobs, len(rep.Problems)})
	} else {
		s.out.Printf("%s, %s, %s, %s checked, %s\n", count(rep.Refs, "ref"), count(rep.Commits, "commit"),
			count(rep.Trees, "tree"), count(rep.Blobs, "blob"), count(len(rep.Problems), "problem"))
	}
	if !rep.OK() {
		return exitError{nil, 1}
	}
	return nil
}
