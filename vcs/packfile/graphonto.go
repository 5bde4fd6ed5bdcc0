package packfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"arpeggio/vcs"
)

// copyOnto is CopyLayer for a file that shares commits with base or needs some
// from below it.
func (c *GraphChain) copyOnto(ctx context.Context, w io.Writer, layer int, base *GraphChain, bases []vcs.ID) error {
	t := &graphTransfer{ctx: ctx, from: c, layer: layer, base: base, lower: map[uint32]uint32{}}
	if err := t.load(); err != nil {
		return err
	}
	if err := t.number(); err != nil {
		return err
	}
	rows := &graphRows{graphs: c.layers[:layer+1], kept: t.kept, parent: t.parent}
	return rows.write(w, bases)
}

// graphTransfer brings a file of one chain, and what that needs, to another one.
type graphTransfer struct {
	ctx   context.Context
	from  *GraphChain
	layer int
	base  *GraphChain

	parents pieces[uint32] // of the file's commits the first parents, places in from; graphMore: there are more
	own     pieces[uint32] // for each of the file's commits its place in the new chain, or one of the values below
	n       int64          // of them, those that are written
	lower   map[uint32]uint32
	below   []transferred // what is written of lower files
}

// transferred is a commit that is written.
type transferred struct {
	id    vcs.ID
	layer int
	at    int64
}

const (
	placeUnknown = ^uint32(0)     // it has not been looked at
	placeNew     = ^uint32(0) - 1 // it will be written
	// placeChild marks a commit that waits for its parents to be decided about;
	// the rest is the place in from of the child that waits for it, or its own.
	placeChild = 1 << 31
)

// waits reports whether a place is that of a commit that waits.
func waits(place uint32) bool { return place&placeChild != 0 && place < placeNew }

// load reads the parents of the file's commits.
func (t *graphTransfer) load() error {
	g := t.from.layers[t.layer]
	return g.rows(t.ctx, "CDAT", graphDataLen, func(row []byte) error {
		p := rowParents(row)
		if p[0]&graphMore != 0 {
			return fmt.Errorf("%w: a parent at place %d", ErrGraph, p[0])
		}
		if p[1] != graphNone {
			p[0] |= graphMore
		}
		t.parents.push(p[0])
		t.own.push(placeUnknown)
		return nil
	})
}

// rowParents returns the first two parents in a row of the CDAT chunk, as it has
// them.
func rowParents(row []byte) [2]uint32 {
	return [2]uint32{binary.BigEndian.Uint32(row[20:]), binary.BigEndian.Uint32(row[24:])}
}

// number decides which commits are written and where.
func (t *graphTransfer) number() error {
	for i := range t.own.n {
		if err := t.settle(uint32(t.from.first[t.layer]) + uint32(i)); err != nil {
			return err
		}
	}
	slices.SortFunc(t.below, func(a, b transferred) int { return bytes.Compare(a.id[:], b.id[:]) })
	if t.base.n+t.n+int64(len(t.below)) > graphMax {
		return fmt.Errorf("%w: more than %d commits in a commit-graph", ErrLimit, graphMax)
	}
	next, last := uint32(t.base.n), vcs.ID{}
	return t.kept(func(id vcs.ID, layer int, at int64) error {
		if int64(next) > t.base.n && bytes.Compare(id[:], last[:]) <= 0 {
			return fmt.Errorf("%w: %v is there twice or is not in order", ErrGraph, id)
		}
		t.set(uint32(t.from.first[layer]+at), next)
		next, last = next+1, id
		return nil
	})
}

// place returns where a commit, at a place of from, will be.
func (t *graphTransfer) place(at uint32) uint32 {
	if own := int64(at) - t.from.first[t.layer]; own >= 0 && own < int64(t.own.n) {
		return *t.own.at(int(own))
	}
	if to, ok := t.lower[at]; ok {
		return to
	}
	return placeUnknown
}

func (t *graphTransfer) set(at, to uint32) {
	if own := int64(at) - t.from.first[t.layer]; own >= 0 {
		*t.own.at(int(own)) = to
	} else {
		t.lower[at] = to
	}
}

// settle decides about a commit and all its ancestors, these first. Base has
// whole histories: a commit is there only if all its parents are. The way back
// from a parent is kept in its place, so that a long history takes no memory.
func (t *graphTransfer) settle(at uint32) error {
	if t.place(at) != placeUnknown {
		return nil
	}
	t.set(at, placeChild|at)
	for steps := 0; ; steps++ {
		if steps%1024 == 0 {
			if err := t.ctx.Err(); err != nil {
				return err
			}
		}
		next, fresh, err := t.undecided(at)
		if err != nil {
			return err
		}
		if next != at {
			t.set(next, placeChild|at)
			at = next
			continue
		}
		child := t.place(at) &^ placeChild
		if err := t.decide(at, fresh); err != nil || child == at {
			return err
		}
		at = child
	}
}

// undecided returns the first parent of a commit that nothing is known of, the
// commit itself when there is none, and then whether a parent is not in base.
func (t *graphTransfer) undecided(at uint32) (parent uint32, fresh bool, err error) {
	for k := uint32(0); ; k++ {
		p, ok, err := t.parentAt(at, k)
		if err != nil || !ok {
			return at, fresh, err
		}
		switch place := t.place(p); {
		case place == placeUnknown:
			return p, false, nil
		case waits(place):
			return at, false, fmt.Errorf("%w: a commit is its own ancestor", ErrGraph)
		default:
			fresh = fresh || place == placeNew
		}
	}
}

// decide is settle for a commit whose parents are decided.
func (t *graphTransfer) decide(at uint32, fresh bool) error {
	layer := t.layer
	for t.from.first[layer] > int64(at) {
		layer--
	}
	g, in := t.from.layers[layer], int64(at)-t.from.first[layer]
	n := transferred{layer: layer, at: in}
	if fresh && layer == t.layer {
		t.set(at, placeNew)
		t.n++
		return nil
	}
	if err := readAt(g.r, n.id[:], g.chunks["OIDL"].at+in*20); err != nil {
		return fmt.Errorf("%w: %w", ErrGraph, err)
	}
	if !fresh && t.base.n > 0 {
		if to, ok, err := t.base.find(n.id); ok || err != nil {
			t.set(at, uint32(to))
			return err
		}
	}
	t.set(at, placeNew)
	if layer < t.layer {
		t.below = append(t.below, n)
	} else {
		t.n++
	}
	return nil
}

// parentAt returns a commit's parent of a number, from 0 on, if it has as many.
func (t *graphTransfer) parentAt(at, k uint32) (p uint32, ok bool, err error) {
	g, own := t.from.layers[t.layer], int64(at)-t.from.first[t.layer]
	two := [2]uint32{graphNone, graphNone}
	if own >= 0 {
		two[0] = *t.parents.at(int(own)) &^ graphMore
	}
	if own < 0 || k > 0 && *t.parents.at(int(own))&graphMore != 0 {
		in := own
		if own < 0 {
			if g, in, err = t.from.layer(int64(at)); err != nil {
				return 0, false, err
			}
		}
		var row [graphDataLen]byte
		if err := readAt(g.r, row[:], g.chunks["CDAT"].at+in*graphDataLen); err != nil {
			return 0, false, fmt.Errorf("%w: %w", ErrGraph, err)
		}
		two = rowParents(row[:])
	}
	switch {
	case k == 0:
		p, ok = two[0], two[0] != graphNone
	case two[1] == graphNone:
	case two[1]&graphMore == 0:
		p, ok = two[1], k == 1
	default:
		edges, i := g.column("EDGE", 4), int64(two[1]&^graphMore)+int64(k)-1
		if k > 1 {
			before, err := edges.u32(i - 1)
			if err != nil || before&graphMore != 0 {
				return 0, false, err
			}
		}
		if p, err = edges.u32(i); err != nil {
			return 0, false, err
		}
		p, ok = p&^graphMore, true
	}
	if ok && int64(p) >= t.from.first[t.layer]+int64(t.parents.n) {
		return 0, false, fmt.Errorf("%w: a parent beyond the last commit", ErrGraph)
	}
	return p, ok, nil
}

// kept visits the commits that are written, in the order of their names.
func (t *graphTransfer) kept(visit func(id vcs.ID, graph int, at int64) error) error {
	below := t.below
	lower := func(upTo *vcs.ID) error {
		for ; len(below) > 0 && (upTo == nil || bytes.Compare(below[0].id[:], upTo[:]) < 0); below = below[1:] {
			if err := visit(below[0].id, below[0].layer, below[0].at); err != nil {
				return err
			}
		}
		return nil
	}
	names := t.from.layers[t.layer].column("OIDL", 20)
	for i := range int64(t.own.n) {
		if i%1024 == 0 {
			if err := t.ctx.Err(); err != nil {
				return err
			}
		}
		if int64(*t.own.at(int(i))) < t.base.n {
			continue // it is there
		}
		b, err := names.row(i)
		if err != nil {
			return err
		}
		id := vcs.ID(b)
		if err = lower(&id); err == nil {
			err = visit(id, t.layer, i)
		}
		if err != nil {
			return err
		}
	}
	return lower(nil)
}

// parent returns the place of a parent in the new chain.
func (t *graphTransfer) parent(id vcs.ID, _ int, at uint32) (uint32, error) {
	to := t.place(at)
	if to >= placeNew {
		return 0, fmt.Errorf("%w: a parent of %v at place %d", ErrGraph, id, at)
	}
	return to, nil
}
