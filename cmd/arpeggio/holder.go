package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/internal/history"
	"arpeggio/vcs"
)

// asker opens a branch for questions; the empty name is HEAD's. An index of the
// record is used where there is one; none is made.
func (s *session) asker(ctx context.Context, branch string, window time.Duration) (*history.Asker, *vcs.Commit, error) {
	head, err := s.Head()
	if branch != "" {
		head, err = s.branch(branch)
	}
	if err != nil {
		return nil, nil, err
	}
	c, err := s.Store.ReadCommit(head)
	if err != nil {
		return nil, nil, err
	}
	if err := s.mustBeTable(c); err != nil {
		return nil, nil, err
	}
	if branch == "" && s.Detached.IsZero() {
		branch = history.ShortRef(s.Store.Head())
	}
	a, err := history.NewAsker(s.Store, c, window, func() (map[arp.Key][]versioned.SeenOwner, error) { return s.seen(branch) })
	if err != nil {
		return nil, nil, err
	}
	if x := versioned.OpenRecordIndex(versioned.RecordIndexPath(s.repo.Directory(), branch)); x.Len() > 0 {
		a.Index, err = s.update(ctx, x, head)
	}
	return a, c, err
}

// maxSeen bounds the addresses of which the last sight is read.
const maxSeen = 4 << 20

// seen reads the seen index beside a local repository, as far as it is whole.
func (s *session) seen(branch string) (map[arp.Key][]versioned.SeenOwner, error) {
	if info, err := os.Stat(s.repo.Location); err != nil || !info.IsDir() {
		return nil, nil
	}
	all, err := versioned.LoadSeen(versioned.SeenPath(s.repo.Location, branch), maxSeen)
	if errors.Is(err, versioned.ErrSeen) {
		note("%v; times of last sight may be missing", err)
		err = nil
	}
	return all, err
}

// holder answers who held some addresses at a time.
func (s *session) holder(ctx context.Context, branch string, window time.Duration, in history.Networks, at time.Time, addrs []netip.Addr) error {
	a, head, err := s.asker(ctx, branch, window)
	if err != nil {
		return err
	}
	defer a.Close()
	s.out.Page()
	nobody := false
	for _, addr := range addrs {
		k, others, err := a.Key(ctx, addr, in)
		if err != nil {
			return chooseNetwork(err)
		}
		ans, err := a.At(ctx, k, at)
		if err != nil {
			return err
		}
		s.answer(k, at, &ans, true)
		for _, o := range others {
			note("%v is known in VLAN %v, too: --vlan %v", addr, o.VLAN, o.VLAN)
		}
		if ans.Holder == nil {
			nobody = true
			if near := history.NearestAddresses(s.Store, head, addr); ans.Before == nil && ans.After == nil && len(near) > 0 {
				note("%v is in no commit of this branch; nearest: %s", addr, strings.Join(near, ", "))
			}
		}
	}
	if nobody {
		return exitError{nil, 1}
	}
	return nil
}

func chooseNetwork(err error) error {
	switch {
	case errors.Is(err, history.ErrAmbiguous):
		return withHint(err, "choose one with --domain NAME and --vlan N")
	case errors.Is(err, history.ErrUnknown):
		return withHint(err, "name one of these with --domain NAME and --vlan N, or none")
	}
	return err
}

// maxQuestion bounds a line.
const maxQuestion = 1 << 16

// holders answers questions, a line each. What makes no sense is told, and has
// an answer of its own where a program reads them.
func (s *session) holders(ctx context.Context, branch string, window time.Duration, in history.Networks, r io.Reader) error {
	a, _, err := s.asker(ctx, branch, window)
	if err != nil {
		return err
	}
	defer a.Close()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxQuestion)
	n, bad := 0, 0
	for lines.Scan() && s.out.Err() == nil {
		n++
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		k, at, err := s.readQuestion(ctx, a, in, text)
		if err == nil {
			var ans versioned.Answer
			if ans, err = a.At(ctx, k, at); err != nil {
				return err
			}
			s.answer(k, at, &ans, false)
			continue
		}
		bad++
		if s.out.IsJSON() {
			s.out.JSON(struct {
				Line  int    `json:"line"`
				Error string `json:"error"`
			}{n, err.Error()})
		}
		note("line %d: %v", n, err)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("standard input, after line %d: %w", n, err)
	}
	if bad > 0 {
		return exitError{nil, 1}
	}
	return nil
}

// readQuestion reads TIME ADDRESS, where the time may have several words.
func (s *session) readQuestion(ctx context.Context, a *history.Asker, in history.Networks, text string) (k arp.Key, at time.Time, err error) {
	words := strings.Fields(text)
	last := len(words) - 1
	spec := history.ParseSpec(words[last])
	m, ok := history.ParseTime(strings.Join(words[:last], " "), s.Now)
	if !ok || !spec.Addr.IsValid() {
		return k, at, fmt.Errorf("%q: want TIME ADDRESS, such as 2006-01-02T15:04:05Z 10.9.0.7", text)
	}
	k, _, err = a.Key(ctx, spec.Addr, in)
	return k, m.Time, err
}
