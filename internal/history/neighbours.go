package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/vcs"
)

// IsTable reports whether a commit holds an ARP table: a folder of a broadcast
// domain with a folder of a family or a VLAN in it, or nothing yet and a commit
// of ours.
func IsTable(s *vcs.Store, c *vcs.Commit) (bool, error) {
	if wrote, err := wroteEntry(s, c); wrote || err != nil {
		return wrote, err
	}
	root, err := s.ReadTree(c.Tree)
	if err != nil {
		return false, err
	}
	if root.Len() == 0 {
		return strings.HasPrefix(c.Subject(), "arp: "), nil
	}
	for domain := range folders(root) {
		t, err := s.ReadTree(domain.ID)
		if err != nil {
			return false, err
		}
		for e := range folders(t) {
			if e.Name == "v4" || e.Name == "v6" || strings.HasPrefix(e.Name, "vlan-") {
				return true, nil
			}
		}
	}
	return false, nil
}

// maxWithout is how many commits that touched nothing are passed by wroteEntry.
const maxWithout = 8

// wroteEntry reports whether a store knows, without making a tree, that a commit or
// one shortly before it has written an entry of a table.
func wroteEntry(s *vcs.Store, c *vcs.Commit) (bool, error) {
	for range maxWithout {
		paths, ok, err := s.ChangedPaths(c.ID)
		if err != nil || !ok {
			return false, err
		}
		if len(paths) > 0 {
			_, entry := (versioned.Layout{}).Key(paths[0])
			return entry, nil
		}
		if c, err = s.ReadCommit(c.Parents[0]); err != nil {
			return false, err
		}
	}
	return false, nil
}

// RevertTable undoes, on top of a branch, what a commit changed in an ARP table
// against its first parent. The bindings from before come back as new writes,
// later than what they replace, so that merges keep them; one that had not been
// there before becomes expired, since a table forgets by saying so. An entry
// that has changed again since is a conflict: the error wraps vcs.ErrConflict
// and nothing is changed. The zero ID, with no error, means nothing to undo.
func RevertTable(ctx context.Context, repo *versioned.Repo, branch string, c *vcs.Commit, info vcs.CommitInfo) (vcs.ID, error) {
	var parent vcs.ID
	if len(c.Parents) > 0 {
		parent = c.Parents[0]
	}
	if info.Message == "" {
		info.Message = fmt.Sprintf("Revert %q\n\nThis reverts commit %v.", c.Subject(), c.ID)
	}
	before, err := repo.Head(branch)
	if err != nil {
		return vcs.ID{}, err
	}
	head, err := repo.Update(ctx, branch, vcs.TxOptions{CommitInfo: info}, func(tx *vcs.Tx[arp.Key, versioned.Entry]) error {
		var changed []string
		for d, err := range repo.Diff(parent, c.ID) {
			if err != nil {
				return err
			}
			now, ok, err := tx.Get(d.Key)
			if err != nil {
				return err
			}
			if ok != d.New.Present || now != d.New.Value {
				changed = append(changed, d.Key.String())
				continue
			}
			tx.Set(d.Key, undo(d, info.Time.UnixMilli()))
		}
		if len(changed) > 0 {
			return fmt.Errorf("%w: %s changed again since %v", vcs.ErrConflict, strings.Join(changed, ", "), c.ID.Short())
		}
		return nil
	})
	if err != nil || head == before {
		return vcs.ID{}, err
	}
	return head, nil
}

// undo returns what takes the place of a change's outcome.
func undo(d vcs.Delta[arp.Key, versioned.Entry], now int64) versioned.Entry {
	e := d.Old.Value
	if !d.Old.Present {
		e = d.New.Value
		e.State, e.Deadline = versioned.Expired, 0
	}
	e.Clock = max(now, d.New.Value.Clock+1)
	return e
}

// ErrNotEntry: merge-driver was given a file that is no ARP entry.
var ErrNotEntry = errors.New("not an ARP entry")

// MergeEntries merges two versions of one file of an ARP table as
// versioned.Merge does, and returns the bytes of the one that stays. An empty
// text is an absent file. The error wraps ErrNotEntry when the path or a text
// is none of a table's.
func MergeEntries(path string, base, ours, theirs []byte) ([]byte, error) {
	k, ok := versioned.Layout{}.Key(path)
	if !ok {
		return nil, fmt.Errorf("%w: the path %s is no address's", ErrNotEntry, Quote(path))
	}
	var sides [3]vcs.Opt[versioned.Entry]
	for i, text := range [][]byte{base, ours, theirs} {
		if len(text) == 0 {
			continue
		}
		e, err := versioned.Decode(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrNotEntry, Quote(path), err)
		}
		sides[i] = vcs.Some(e)
	}
	merged, err := versioned.Merge(k, sides[0], sides[1], sides[2])
	if err != nil || !merged.Present {
		return nil, err
	}
	return merged.Value.Encode()
}

// SortRows sorts entries by domain, VLAN and address.
func SortRows(rows []versioned.Row) {
	slices.SortFunc(rows, func(a, b versioned.Row) int {
		return cmp.Or(cmp.Compare(a.Key.Domain, b.Key.Domain), cmp.Compare(a.Key.VLAN.Outer, b.Key.VLAN.Outer),
			cmp.Compare(a.Key.VLAN.Inner, b.Key.VLAN.Inner), a.Key.Addr.Compare(b.Key.Addr))
	})
}
