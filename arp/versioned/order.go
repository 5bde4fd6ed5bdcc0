package versioned

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// ErrNotPinned is wrapped by the error of Unpin for an address that is not
// pinned.
var ErrNotPinned = errors.New("versioned: not pinned")

// Pin binds an address to a MAC address by order of an operator, on a branch of
// a repository that no Table has open: what Table.Put does for arp.OpPinned. The
// pin holds on the node. It is committed on a branch of its own, which is merged
// and deleted. Info has the author and the time; its message is not used. Changed
// is false when it is pinned so already.
func Pin(ctx context.Context, repo *Repo, branch, node string, k arp.Key, mac ethernet.Addr, info vcs.CommitInfo) (head vcs.ID, changed bool, err error) {
	if !mac.IsStation() || !k.Addr.IsValid() {
		return vcs.ID{}, false, fmt.Errorf("versioned: pin %v to %v: want the address of one station", k, mac)
	}
	return order(ctx, repo, branch, k, info, func(have Entry) (arp.Change, Entry, bool) {
		c := arp.Change{Op: arp.OpPinned, Key: k, MAC: mac, Time: info.Time, Interface: have.Interface}
		if have.State != Expired && have.MAC != mac {
			c.Old = have.MAC
		}
		e, changed := put(have, &c, node)
		return c, e, changed
	})
}

// Unpin ends what Pin began: the address stays bound, and packets may move it.
func Unpin(ctx context.Context, repo *Repo, branch string, k arp.Key, info vcs.CommitInfo) (head vcs.ID, err error) {
	pinned := false
	head, _, err = order(ctx, repo, branch, k, info, func(have Entry) (arp.Change, Entry, bool) {
		pinned = have.State == Static
		c := arp.Change{Op: arp.OpUnpinned, Key: k, MAC: have.MAC, Time: info.Time, Interface: have.Interface}
		if !pinned {
			return c, have, false
		}
		e, changed := put(have, &c, have.Node)
		return c, e, changed
	})
	if err == nil && !pinned {
		err = fmt.Errorf("%w: %v", ErrNotPinned, k)
	}
	return head, err
}

// order commits what becomes of one entry, and merges that into a branch.
func order(ctx context.Context, repo *Repo, branch string, k arp.Key, info vcs.CommitInfo,
	change func(have Entry) (arp.Change, Entry, bool)) (head vcs.ID, changed bool, err error) {
	base, err := repo.Head(branch)
	if err != nil {
		return vcs.ID{}, false, err
	}
	snap, err := repo.AtCommit(base)
	if err != nil {
		return vcs.ID{}, false, err
	}
	have, _, err := snap.Get(k)
	if err != nil && !errors.Is(err, vcs.ErrDecode) { // that one is replaced
		return vcs.ID{}, false, err
	}
	c, e, changed := change(have)
	if !changed {
		return base, false, nil
	}
	own := kindPin + "/" + strings.ReplaceAll(k.Addr.String(), ":", "_") + "-" + info.Time.UTC().Format("20060102T150405.000Z")
	if err := repo.CreateBranch(ctx, own, base); err != nil {
		return vcs.ID{}, false, err
	}
	info.Message = orderMessage(&c, e.Node)
	id, err := repo.Commit(ctx, own, base, []vcs.Change[arp.Key, Entry]{{Key: k, Value: vcs.Some(e)}}, info)
	if err != nil {
		return vcs.ID{}, false, errors.Join(err, repo.DeleteBranch(ctx, own, base))
	}
	merge := info
	merge.Message = fmt.Sprintf("arp: merge order about %s\n\n%s: %s\n%s: %s\n", Clean(k.String()), TrailerCause, CauseMerge, TrailerBranch, own)
	res, err := repo.Merge(ctx, branch, id, vcs.MergeOptions{CommitInfo: merge})
	if err != nil {
		return vcs.ID{}, false, fmt.Errorf("versioned: %s holds the order and could not be merged: %w", own, err)
	}
	return res.Head, true, repo.DeleteBranch(ctx, own, id)
}

// orderMessage returns the text of an order's commit.
func orderMessage(c *arp.Change, node string) string {
	b := append([]byte(subject(c)), '\n', '\n')
	b = trailer(b, TrailerCause, c.Op.String())
	b = trailer(b, TrailerAddress, Clean(c.Key.String()))
	b = trailer(b, TrailerMAC, c.MAC.String())
	if !c.Old.IsZero() {
		b = trailer(b, TrailerOld, c.Old.String())
	}
	b = trailer(b, TrailerRule, ruleOperator)
	b = trailer(b, TrailerNode, Clean(node))
	b = trailer(b, TrailerInterface, Clean(c.Interface))
	return string(appendTime(b, TrailerTime, c.Time))
}
