package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"arpeggio/internal/history"
	"arpeggio/internal/openrepo"
	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
)

type followCmd struct {
	repoFlags
	printFlags
	Max      int           `short:"n" default:"10" placeholder:"N" help:"Begin with the newest N commits (${default})."`
	Count    int           `short:"c" placeholder:"N" help:"End after N commits."`
	Interval time.Duration `default:"1s" placeholder:"TIME" help:"How often to look (${default})."`
}

func (*followCmd) Help() string {
	return `Print commits of all branches as they come, oldest first, until Ctrl-C. A URL is
fetched from again and again, which moves only what is new. Exit codes: 0 ok,
1 failure, 2 usage.

Examples:

  arpeggio follow --repo http://127.0.0.1:8081/arp.git
  arpeggio follow --repo arp.git -n 0 --json | jq .subject`
}

func (c *followCmd) Run(ctx context.Context) (err error) {
	if c.Max < 0 || c.Count < 0 || c.Interval <= 0 {
		return usagef("-n, -c and --interval: want positive values")
	}
	s, err := c.open(ctx, c.printFlags)
	if err != nil {
		return err
	}
	defer s.close(&err)
	switch {
	case s.repo.Kind == openrepo.Badger:
		return withHint(fmt.Errorf("no program writes to %s now: nothing comes", s.repo.Location),
			"start the one that keeps its history there, then follow it; arpeggio log prints what is there")
	case s.repo.Kind == openrepo.Disk || c.Offline:
		return usagef("nothing comes to %s: follow a directory or a URL", s.repo.Location)
	}
	f := history.NewFollower(s.Store)
	n := 0
	show := func(refs []vcs.Ref, last int) error {
		news, err := f.News(refs)
		if err != nil {
			return err
		}
		names := make(map[vcs.ID][]string)
		for _, r := range refs {
			names[r.Target] = append(names[r.Target], history.ShortRef(r.Name))
		}
		for _, l := range news[len(news)-min(len(news), last):] {
			if c.Count > 0 && n == c.Count {
				break
			}
			n++
			if c.JSON {
				s.out.JSON(toJSON(l, names[l.ID]))
			} else {
				s.out.Printf("%s\n", s.line(l, names[l.ID]))
			}
		}
		return s.out.Flush()
	}
	refs, err := s.Store.Refs()
	if err != nil {
		return err
	}
	if err := show(refs, c.Max); err != nil {
		return err
	}
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	for away := false; c.Count == 0 || n < c.Count; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		refs, err := s.repo.Current(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, gitremote.ErrUnreachable):
			if !away {
				note("%v; trying again", err)
			}
			away = true
			continue
		case err != nil:
			return err
		}
		away = false
		if err := show(refs, math.MaxInt); err != nil {
			return err
		}
	}
	return nil
}
