package main

import (
	"context"

	"arpeggio/internal/cli"
	"arpeggio/vcs"
)

type verifyCmd struct {
	repoFlags
	printFlags
}

func (*verifyCmd) Help() string {
	return `Check that all that branches and tags lead to is there and hashes to its name:
every commit, and every folder and file of each head. Exit codes: 0 all is well,
1 problems, which are named, or failure, 2 usage.

Example:

  arpeggio verify --repo arp.git`
}

// problemJSON is something missing or damaged, for programs.
type problemJSON struct {
	Ref    string `json:"ref"`
	Object string `json:"object"`
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
	for _, p := range rep.Problems {
		if c.JSON {
			s.out.JSON(problemJSON{p.Ref, p.ID.String(), p.Path, p.Err.Error()})
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
