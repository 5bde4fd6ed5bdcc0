package packfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"arpeggio/vcs"
)

// Checked is a pack whose objects are well-formed, with what it takes to say
// which of them are complete. It is for one goroutine.
type Checked struct {
	p       *Pack
	outside vcs.ObjectReader
	start   []uint32 // links of object i: links[start[i]:end[i]]
	end     []uint32
	links   []int32 // objects of the pack that an object names
	order   []int32 // what is named before what names it
	missing map[int32]*MissingError
}

// maxRemembered bounds the memory for what was found outside.
const maxRemembered = 1 << 16

// Check looks at every object as git index-pack --strict does: that its content
// is what git fsck --strict accepts, that it calls the objects that it names by
// their kind, and that an object which outside holds under the same name is the
// same. The error wraps vcs.ErrBadObject or ErrCollision, or is that of ctx or
// outside. What is missing is no error yet: ask Complete.
//
// An object of outside counts as complete, with all that it leads to. Commits
// of submodules are not looked for.
func (p *Pack) Check(ctx context.Context, outside vcs.ObjectReader) (*Checked, error) {
	c := &Checked{
		p: p, outside: outside,
		start: make([]uint32, len(p.objects)), end: make([]uint32, len(p.objects)),
		missing: map[int32]*MissingError{},
	}
	k := checker{Checked: c, there: map[vcs.ID]vcs.Kind{}}
	for _, i := range p.visit {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := k.object(i); err != nil {
			return nil, err
		}
	}
	c.sort()
	return c, nil
}

type checker struct {
	*Checked
	there map[vcs.ID]vcs.Kind // found outside
}

func (k *checker) object(i int32) error {
	o := &k.p.objects[i]
	content, err := k.p.content(i)
	if err != nil {
		return err
	}
	kind, old, err := k.outside.ReadObject(o.id)
	switch {
	case err == nil && (kind != o.kind || !bytes.Equal(old, content)):
		return fmt.Errorf("%w WITH %v", ErrCollision, o.id)
	case err != nil && !errors.Is(err, vcs.ErrNotFound):
		return err
	}
	o.known = err == nil // it may have left since somebody looked before
	k.start[i] = uint32(len(k.links))
	err = named(o.kind, content, func(id vcs.ID, kind vcs.Kind) error { return k.link(i, id, kind) })
	k.end[i] = uint32(len(k.links))
	if err != nil {
		return fmt.Errorf("object %v: %w", o.id, err)
	}
	return nil
}

// link notes that object i names an object of a kind.
func (k *checker) link(i int32, id vcs.ID, kind vcs.Kind) error {
	is := kind
	if at, ok := k.p.find(id); ok {
		is = k.p.objects[at].kind
		k.links = append(k.links, at)
	} else if id != vcs.EmptyTree && k.missing[i] == nil {
		if is, ok = k.there[id]; !ok {
			var err error
			is, _, err = k.outside.ReadObject(id)
			if errors.Is(err, vcs.ErrNotFound) {
				k.missing[i] = &MissingError{ID: id, From: k.p.objects[i].id}
				return nil
			}
			if err != nil {
				return err
			}
			if len(k.there) == maxRemembered {
				clear(k.there)
			}
			k.there[id] = is
		}
	}
	if is != kind {
		return fmt.Errorf("%w: it names %v as a %v, which is a %v", vcs.ErrBadObject, id, kind, is)
	}
	return nil
}

// named calls yield for each object that an object names, after checking the
// object's form.
func named(kind vcs.Kind, content []byte, yield func(vcs.ID, vcs.Kind) error) error {
	switch kind {
	case vcs.KindCommit:
		c, err := vcs.ParseCommit(content)
		if err != nil {
			return err
		}
		for _, p := range c.Parents {
			if err := yield(p, vcs.KindCommit); err != nil {
				return err
			}
		}
		return yield(c.Tree, vcs.KindTree)
	case vcs.KindTree:
		t, err := vcs.ParseTree(content)
		if err != nil {
			return err
		}
		for i := range t.Len() {
			e := t.Entry(i)
			if e.Mode == vcs.ModeSubmodule {
				continue
			}
			if err := yield(e.ID, e.Mode.Kind()); err != nil {
				return err
			}
		}
	case vcs.KindTag:
		t, err := vcs.ParseTag(content)
		if err != nil {
			return err
		}
		return yield(t.Target, t.Kind)
	}
	return nil
}

// sort puts what is named before what names it, and hands on what is missing.
// Nothing names itself, by whatever detour: that is what hashes are for.
func (c *Checked) sort() {
	n := len(c.p.objects)
	c.order = make([]int32, 0, n)
	seen := make([]bool, n)
	type frame struct {
		at   int32
		link uint32
	}
	var stack []frame
	for _, i := range c.p.visit {
		if seen[i] {
			continue
		}
		seen[i] = true
		stack = append(stack, frame{i, c.start[i]})
		for len(stack) > 0 {
			f := &stack[len(stack)-1]
			if f.link == c.end[f.at] {
				c.order = append(c.order, f.at)
				stack = stack[:len(stack)-1]
				continue
			}
			to := c.links[f.link]
			f.link++
			if !seen[to] {
				seen[to] = true
				stack = append(stack, frame{to, c.start[to]})
			}
		}
	}
	if len(c.missing) == 0 {
		return
	}
	for _, i := range c.order {
		for _, to := range c.links[c.start[i]:c.end[i]] {
			if m := c.missing[to]; m != nil && c.missing[i] == nil {
				c.missing[i] = m
			}
		}
	}
}

// Complete reports whether an object and all that it leads to are in the pack or
// outside of it. The error is a *MissingError, or that of the outside reader.
func (c *Checked) Complete(id vcs.ID) error {
	if i, ok := c.p.find(id); ok {
		if m := c.missing[i]; m != nil {
			return m
		}
		return nil
	}
	if id == vcs.EmptyTree {
		return nil
	}
	_, _, err := c.outside.ReadObject(id)
	if errors.Is(err, vcs.ErrNotFound) {
		return &MissingError{ID: id}
	}
	return err
}

// New yields the objects that the tips lead to, those that are complete and were
// not outside when Check looked, each after those that it names: so that a
// receiver which stores them in this order never holds one without what it leads
// to, wherever it stops. It ends with the first error.
func (c *Checked) New(ctx context.Context, tips ...vcs.ID) iter.Seq2[vcs.Object, error] {
	return func(yield func(vcs.Object, error) bool) {
		reached := c.reach(tips)
		for _, i := range c.order {
			o := &c.p.objects[i]
			if !reached[i] || o.known || c.missing[i] != nil {
				continue
			}
			err := ctx.Err()
			var content []byte
			if err == nil {
				content, err = c.p.content(i)
			}
			if !yield(vcs.Object{ID: o.id, Kind: o.kind, Content: content}, err) || err != nil {
				return
			}
		}
	}
}

// reach marks the pack's objects that the tips lead to.
func (c *Checked) reach(tips []vcs.ID) []bool {
	reached := make([]bool, len(c.p.objects))
	var todo []int32
	for _, id := range tips {
		if i, ok := c.p.find(id); ok {
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !reached[i] {
			reached[i] = true
			todo = append(todo, c.links[c.start[i]:c.end[i]]...)
		}
	}
	return reached
}
