package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"arpeggio/internal/cli"
	"arpeggio/vcs/gitremote"
)

type cloneCmd struct {
	printFlags
	authFlags
	Remote string `arg:"" help:"A URL (http, https, ssh, file) or a Git directory."`
	Dir    string `arg:"" optional:"" help:"The bare Git directory to make (the last part of the URL)."`
}

func (*cloneCmd) Help() string {
	return `Take a copy of a history to work on: a new bare Git directory with all branches
and tags. Change it with branch, merge, revert, pin and unpin, get what came
meanwhile with pull, and send it with push. Exit codes: 0 ok, 1 failure, 2 usage.

Example:

  arpeggio clone http://10.9.0.2:8081/arp.git
  arpeggio revert --repo arp.git 3fbc181
  arpeggio push --repo arp.git http://me@10.9.0.2:8081/arp.git primary --password-file token`
}

func (c *cloneCmd) Run(ctx context.Context) error {
	opts, err := c.options(c.progress())
	if err != nil {
		return err
	}
	if c.Dir == "" {
		c.Dir = repoName(c.Remote)
	}
	if names, err := os.ReadDir(c.Dir); err == nil && len(names) > 0 {
		return withHint(fmt.Errorf("%s is there already, and not empty", c.Dir), "name another directory; or bring a copy up to date with arpeggio fetch --repo %s %s", c.Dir, gitremote.Redact(c.Remote))
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	report, err := gitremote.Fetch(ctx, c.Remote, c.Dir, opts)
	if err != nil {
		return c.explain(err)
	}
	out := cli.New(cli.Config{Stdout: os.Stdout, Stderr: os.Stderr, Color: c.Color, JSON: c.JSON, NoPager: true})
	if c.JSON {
		out.JSON(cloneJSON{c.Dir, report.Objects, len(report.Changes)})
	} else {
		out.Printf("%s: %s, %s\n", c.Dir, count(report.Objects, "object"), count(len(report.Changes), "ref"))
	}
	return out.Close()
}

// cloneJSON says what clone made, for programs.
type cloneJSON struct {
	Directory string `json:"directory"`
	Objects   int    `json:"objects"`
	Refs      int    `json:"refs"`
}
