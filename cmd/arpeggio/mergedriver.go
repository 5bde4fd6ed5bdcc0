package main

import (
	"errors"
	"fmt"
	"os"

	"arpeggio/internal/history"
)

type mergeDriverCmd struct {
	Base   string `arg:"" name:"base" help:"The common ancestor's version (%O)."`
	Ours   string `arg:"" name:"ours" help:"Our version, which the result replaces (%A)."`
	Theirs string `arg:"" name:"theirs" help:"The other's version (%B)."`
	Path   string `arg:"" name:"path" help:"The file's path in the repository (%P)."`
}

func (*mergeDriverCmd) Help() string {
	return `A merge driver for stock git, so that git merge joins the entries of an ARP table
exactly as arpeggio merge does. In a clone of a history:

  git config merge.arpeggio.name "ARP table"
  git config merge.arpeggio.driver "arpeggio merge-driver %O %A %B %P"
  echo "**/v4/** merge=arpeggio" >> .git/info/attributes

Exit codes, as git wants them: 0 merged, 1 the file is no entry of a table, which
git then reports as a conflict, 2 usage, 129 the files cannot be read or written.`
}

func (c *mergeDriverCmd) Run() error {
	var sides [3][]byte
	for i, name := range []string{c.Base, c.Ours, c.Theirs} {
		var err error
		if sides[i], err = os.ReadFile(name); err != nil {
			return exitError{err, 129}
		}
	}
	merged, err := history.MergeEntries(c.Path, sides[0], sides[1], sides[2])
	if errors.Is(err, history.ErrNotEntry) {
		return withHint(err, "settle it by hand, then git add it; or give it another driver in .git/info/attributes")
	}
	if err == nil {
		err = os.WriteFile(c.Ours, merged, 0o666)
	}
	if err != nil {
		return exitError{fmt.Errorf("merge %s: %w", c.Path, err), 129}
	}
	return nil
}
