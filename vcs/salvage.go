package vcs

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// DamagedPrefix begins the names under which Salvage leaves the targets of
// branches that could not be read: refs/damaged/heads/primary for primary.
const DamagedPrefix = "refs/damaged/"

// salvageTries bounds the commits that are verified for one branch.
const salvageTries = 64

// Salvage says how to go on with branches whose heads cannot be read, as a
// report of Verify on the same reader tells: each is put back to the newest
// commit of it that is intact, and its old target is kept under DamagedPrefix.
// A branch of which nothing is intact is deleted. Last holds heads of branches
// as they were at some earlier time, as far as they are known; it keeps branches
// from being taken for one another. Notes say in words what each update does.
func Salvage(ctx context.Context, r ObjectReader, refs []Ref, rep Report, last map[string]ID) (updates []RefUpdate, notes []string) {
	at := make(map[string]ID, len(refs))
	for _, ref := range refs {
		at[ref.Name] = ref.Target
	}
	var broken []string
	for _, p := range rep.Problems {
		id, ok := at[p.Ref]
		if !ok || p.Path != "" || !strings.HasPrefix(p.Ref, branchPrefix) || slices.Contains(broken, p.Ref) {
			continue
		}
		if _, content, err := r.ReadObject(id); err == nil && p.ID != id {
			if c, err := ParseCommit(content); err == nil && c.Tree != p.ID {
				continue // older history is damaged, the head is not
			}
		}
		broken = append(broken, p.Ref)
	}
	for _, name := range broken {
		id := newestIntact(ctx, r, name, at, broken, last[name])
		aside := DamagedPrefix + strings.TrimPrefix(name, "refs/")
		for n := 2; !at[aside].IsZero() && at[aside] != at[name]; n++ {
			aside = fmt.Sprintf("%s%s-%d", DamagedPrefix, strings.TrimPrefix(name, "refs/"), n)
		}
		updates = append(updates, RefUpdate{Name: name, Old: at[name], New: id})
		if at[aside] != at[name] {
			updates = append(updates, RefUpdate{Name: aside, New: at[name]})
		}
		if id.IsZero() {
			notes = append(notes, fmt.Sprintf("%s cannot be read, nor any commit of it: it is now %s", name, aside))
		} else {
			notes = append(notes, fmt.Sprintf("%s cannot be read and goes on from %v, the newest commit of it that is intact; it was %v, now %s", name, id, at[name], aside))
		}
	}
	return updates, notes
}

// intact reports whether a commit and its files can be read.
func intact(ctx context.Context, r ObjectReader, id ID) bool {
	if id.IsZero() {
		return false
	}
	rep, err := Verify(ctx, r, []Ref{{Target: id}}, func(ID) bool { return true })
	return err == nil && rep.OK()
}

// newestIntact returns the newest intact commit that a branch may have had.
func newestIntact(ctx context.Context, r ObjectReader, name string, at map[string]ID, broken []string, last ID) ID {
	if ls, ok := r.(*logs); ok {
		for _, l := range ls.newestFirst() {
			if id := l.newestIntact(ctx, r, name, at, broken, last); !id.IsZero() {
				return id
			}
		}
	}
	if intact(ctx, r, last) {
		return last
	}
	return ID{}
}

// newestIntact looks among the commits of one log that come after last, if that
// is known: first at those that are not on the line of another branch which is
// whole, then at all from before the gap into which the branch leads.
func (l *oplog) newestIntact(ctx context.Context, r ObjectReader, name string, at map[string]ID, broken []string, last ID) ID {
	parents, state := l.lines()
	number := func(id ID) (uint32, bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		num, ok, err := l.find(id)
		return num, ok && err == nil && num < uint32(len(parents))
	}
	start, known := number(last)
	after := make([]bool, len(parents))
	for num, p := range parents {
		after[num] = !known || uint32(num) == start || p != noParent && after[p]
	}
	others := make([]bool, len(parents))
	for other, id := range at {
		if other == name || slices.Contains(broken, other) || !strings.HasPrefix(other, branchPrefix) {
			continue
		}
		for num, ok := number(id); ok && num != noParent && !others[num]; num = parents[num] {
			others[num] = true
		}
	}
	newest := func(below int, alone bool) ID {
		tries := 0
		for num := below - 1; num >= 0 && tries < salvageTries; num-- {
			if state[num] != lineSound || !after[num] || alone && others[num] {
				continue
			}
			tries++
			if id := l.idAt(uint32(num)); intact(ctx, r, id) {
				return id
			}
		}
		return ID{}
	}
	if id := newest(len(parents), true); !id.IsZero() {
		return id
	}
	gap := slices.Index(state, lineMissing)
	for num, ok := number(at[name]); ok && num != noParent; num = parents[num] {
		if state[num] == lineMissing {
			gap = int(num)
			break
		}
	}
	for gap > 0 && state[gap-1] == lineMissing {
		gap--
	}
	if gap < 0 {
		gap = len(parents) // the newest commits are missing
	}
	return newest(gap, false)
}

// idAt returns the id of a commit, zero when it cannot be made.
func (l *oplog) idAt(num uint32) ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, i, err := l.at(num)
	if err != nil {
		return ID{}
	}
	id, err := l.idOf(v, i)
	if err != nil {
		return ID{}
	}
	return id
}

// What is known of the line of first parents that ends in a commit.
const (
	lineMissing = iota // the commit itself is not there
	lineBroken         // one before it is not
	lineSound
)

// lines returns the first parent of each commit, and what there is of its line.
func (l *oplog) lines() (parents []uint32, state []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parents, state = make([]uint32, l.n), make([]int, l.n)
	for num := range parents {
		parents[num] = noParent
	}
	for _, s := range l.segs {
		v, err := l.view(s)
		if err != nil {
			continue
		}
		for i := range v.n {
			num, p := v.first+i, v.rec(i).parent
			switch {
			case p == noParent:
				state[num] = lineSound
			case p >= num: // never written
			case state[p] == lineSound:
				parents[num], state[num] = p, lineSound
			default:
				parents[num], state[num] = p, lineBroken
			}
		}
	}
	return parents, state
}
