package versioned

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"arpeggio/arp"
	"arpeggio/vcs"
)

// Kinds of short-lived branches: the folders that they stand in.
const (
	kindQuery  = "query"
	kindExpire = "expire"
	kindPin    = "pin"
)

func kindOf(k arp.WorkKind) string {
	if k == arp.WorkQuery {
		return kindQuery
	}
	return kindExpire
}

// unit is a writer with a branch of its own, opened from the primary head when
// its work began.
type unit struct {
	t      *Table
	kind   string
	key    arp.Key
	branch string
	began  time.Time
	base   vcs.ID
	in     chan item // the changes that come of the work; closed at its end
}

// branchName returns the name of a branch, or of a folder of branches, for the
// writers of this Table: tables on other branches of one store have their own.
func (t *Table) branchName(kind string) string {
	if t.cfg.Branch == Primary {
		return kind
	}
	return kind + "-" + strings.ReplaceAll(t.cfg.Branch, "/", "-")
}

// open makes the branch of a unit.
func (t *Table) open(kind string, key arp.Key, at time.Time) (*unit, error) {
	head, err := t.repo.Head(t.cfg.Branch)
	if err != nil {
		return nil, err
	}
	name := t.branchName(kind) + "/"
	if kind != kindExpire {
		name += key.Addr.String() + "-"
		name = strings.ReplaceAll(name, ":", "_")
	}
	name += at.UTC().Format("20060102T150405.000Z")
	u := &unit{t: t, kind: kind, key: key, began: at, base: head, branch: name, in: make(chan item, 8)}
	for i := 2; ; i++ {
		err := t.repo.CreateBranch(t.ctx, u.branch, head)
		if err == nil {
			return u, nil
		}
		if !errors.Is(err, vcs.ErrRefMoved) || i > 1000 {
			return nil, err
		}
		u.branch = fmt.Sprintf("%s-%d", name, i)
	}
}

// run commits what comes of the work and merges it. A branch on which nothing
// was committed goes away.
func (u *unit) run() {
	t, head := u.t, u.base
	var gens []uint64
	var at time.Time
	if subject := t.cfg.Wording.launched(u.key); subject != "" && u.kind == kindQuery {
		at = u.began
		if id, err := t.repo.Commit(t.ctx, u.branch, head, nil, t.info(subject+"\n\n"+TrailerCause+": query\n", at, true)); err == nil {
			t.count(&t.stats.Commits)
			head = id
		} else {
			t.failed(subject, err)
		}
	}
	for it := range u.in {
		gens = append(gens, it.gen)
		at = it.change.Time
		next, err := t.commit(u.branch, head, &it)
		for errors.Is(err, vcs.ErrRefMoved) {
			// An epoch has begun, perhaps: then the branch goes on at its root.
			root, ok := t.movedByEpoch(u.branch, head)
			if !ok {
				break
			}
			if head == u.base {
				u.base = root
			}
			head = root
			next, err = t.commit(u.branch, head, &it)
		}
		if err != nil {
			t.failed(it.title(), err)
			continue
		}
		head = next
	}
	switch {
	case head == u.base:
		if err := t.deleteBranch(u.branch, head); err != nil {
			t.failed("delete "+u.branch, err)
		}
	case t.merge(u.kind, u.branch, u.base, head, u.what(), at):
		t.prune.add(t, u.branch, head)
	}
	t.settle(gens...)
}

// what says, in the subject of a merge, what is merged.
func (u *unit) what() string {
	k := Clean(u.key.String())
	switch u.kind {
	case kindQuery:
		return "query for " + k
	case kindExpire:
		return "expiry of " + k
	}
	return "order about " + k
}

// pruner keeps the newest finished branches and deletes the others.
type pruner struct {
	keep int
	mu   sync.Mutex
	done []vcs.Branch
}

func (p *pruner) add(t *Table, branch string, head vcs.ID) {
	p.mu.Lock()
	p.done = append(p.done, vcs.Branch{Name: branch, Head: head})
	n := max(len(p.done)-max(p.keep, 0), 0)
	old := slices.Clone(p.done[:n])
	p.done = slices.Delete(p.done, 0, n)
	p.mu.Unlock()
	for _, b := range old {
		// Somebody who has moved or deleted the branch meanwhile may keep it so.
		if err := t.deleteBranch(b.Name, b.Head); err != nil && !errors.Is(err, vcs.ErrRefMoved) {
			t.failed("prune "+b.Name, err)
		}
	}
}

// deleteBranch deletes a branch that nobody has moved, but for epochs that have
// begun since.
func (t *Table) deleteBranch(name string, head vcs.ID) error {
	err := t.repo.DeleteBranch(t.ctx, name, head)
	for errors.Is(err, vcs.ErrRefMoved) {
		root, ok := t.movedByEpoch(name, head)
		if !ok {
			break
		}
		head = root
		err = t.repo.DeleteBranch(t.ctx, name, head)
	}
	return err
}

// movedByEpoch returns the head of a branch if it stands for what it was.
func (t *Table) movedByEpoch(branch string, was vcs.ID) (root vcs.ID, ok bool) {
	root, err := t.repo.Head(branch)
	return root, err == nil && t.repo.Store().StandsFor(root, was)
}

// recover merges the writers' branches that a crash has left unmerged, hands
// the finished ones to the pruner, and returns the primary head.
func (t *Table) recover(ctx context.Context, head vcs.ID) (vcs.ID, error) {
	type dated struct {
		vcs.Branch
		at time.Time
	}
	var done []dated
	for _, b := range t.repo.Branches() {
		dir, _, _ := strings.Cut(b.Name, "/")
		short := dir == t.branchName(kindQuery) || dir == t.branchName(kindExpire) || dir == t.branchName(kindPin)
		if !short && b.Name != t.branchName(Learn) {
			continue
		}
		opt := vcs.MergeOptions{CommitInfo: t.info(t.mergeMessage("", "unfinished "+b.Name, b.Name), time.Time{}, true)}
		res, err := t.repo.Merge(ctx, t.cfg.Branch, b.Head, opt)
		if err != nil {
			return head, fmt.Errorf("merge unfinished %s: %w", b.Name, err)
		}
		head = res.Head
		if short {
			c, err := t.repo.Store().ReadCommit(b.Head)
			if err != nil {
				return head, err
			}
			done = append(done, dated{b, c.Time()})
		}
	}
	slices.SortStableFunc(done, func(a, b dated) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.Name, b.Name)) })
	for _, d := range done {
		t.prune.done = append(t.prune.done, d.Branch)
	}
	return head, nil
}
