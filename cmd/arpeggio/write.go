package main

import (
	"context"
	"errors"

	"arpeggio/internal/openrepo"
	"arpeggio/vcs/gitremote"
)

// liveHelp is what the help of a command that changes a branch says of live
// tables.
const liveHelp = `WHERE may be a URL that takes pushes (of serve --write-token, or any Git server
that asks for no more than a password): the change is made on what it has, and
pushed. In a store that a running program has open the change goes through that
program. Either way a live table follows its primary branch.

  arpeggio COMMAND … --repo http://me@10.9.0.2:8081/arp.git --password-file token`

// maxTries bounds how often a change is made anew because a live history went on
// in between.
const maxTries = 10

// write opens a repository for a command that changes a branch, and closes it.
// Where that is elsewhere, the change is sent by session.wrote, and made again on
// top of what came meanwhile.
func (f *repoFlags) write(ctx context.Context, p printFlags, auth authFlags, change func(*session) error) (err error) {
	f.deliver = true
	if f.remote, err = auth.options(p.progress()); err != nil {
		return err
	}
	for range maxTries {
		err = f.writeOnce(ctx, p, change)
		if errors.Is(err, gitremote.ErrPermission) {
			return withHint(err, "who may push gives a user in the URL and --password-file FILE; others work on a copy: arpeggio clone %s", gitremote.Redact(f.Repo))
		}
		if !errors.Is(err, openrepo.ErrMoved) {
			return auth.explain(err)
		}
	}
	return withHint(err, "it changes faster than this can be sent: take a copy (arpeggio clone), change that, and push it")
}

func (f *repoFlags) writeOnce(ctx context.Context, p printFlags, change func(*session) error) (err error) {
	s, err := f.writable(ctx, p)
	if err != nil {
		return err
	}
	defer s.close(&err)
	return change(s)
}
