package vcs

import "slices"

// changed returns a tree with some entries set, or removed where the id is
// zero. The names are different and may be in any order.
func (t *Tree) changed(changes []TreeEntry) *Tree {
	if len(changes) > 2 {
		return t.rebuilt(changes)
	}
	for _, c := range changes {
		if !c.ID.IsZero() {
			t = t.with(c.Name, c.Mode, c.ID)
		} else if i, ok := t.lookup([]byte(c.Name)); ok {
			t = t.without(i)
		}
	}
	return t
}

// rebuilt is changed for many entries: one pass over the tree.
func (t *Tree) rebuilt(changes []TreeEntry) *Tree {
	touched := make(map[string]bool, len(changes))
	set := make([]TreeEntry, 0, len(changes))
	for _, c := range changes {
		touched[c.Name] = true
		if !c.ID.IsZero() {
			set = append(set, c)
		}
	}
	slices.SortFunc(set, func(a, b TreeEntry) int {
		return compareNames([]byte(a.Name), a.Mode, []byte(b.Name), b.Mode)
	})
	n := &Tree{
		raw: make([]byte, 0, len(t.raw)+len(set)*48),
		off: make([]uint32, 0, len(t.off)+len(set)),
	}
	add := func(c TreeEntry) {
		n.off = append(n.off, uint32(len(n.raw)))
		n.raw = appendEntry(n.raw, c.Mode, c.Name, c.ID)
	}
	for i := range t.off {
		e := t.entryAt(i)
		if touched[string(e.name)] {
			continue
		}
		for len(set) > 0 && compareNames([]byte(set[0].Name), set[0].Mode, e.name, e.mode) < 0 {
			add(set[0])
			set = set[1:]
		}
		n.off = append(n.off, uint32(len(n.raw)))
		n.raw = append(n.raw, t.raw[t.off[i]:t.end(i)]...)
	}
	for _, c := range set {
		add(c)
	}
	return n
}

// with returns a tree in which name has that mode and id.
func (t *Tree) with(name string, m Mode, id ID) *Tree {
	i, ok := t.lookup([]byte(name))
	if ok {
		e := t.entryAt(i)
		if e.mode == m {
			raw := slices.Clone(t.raw)
			copy(raw[t.end(i)-len(id):], id[:])
			return &Tree{raw: raw, off: t.off}
		}
		return t.without(i).with(name, m, id)
	}
	i, _ = t.search([]byte(name), m)
	at := len(t.raw)
	if i < len(t.off) {
		at = int(t.off[i])
	}
	entry := appendEntry(nil, m, name, id)
	n := &Tree{
		raw: slices.Concat(t.raw[:at], entry, t.raw[at:]),
		off: make([]uint32, 0, len(t.off)+1),
	}
	n.off = append(append(n.off, t.off[:i]...), uint32(at))
	for _, o := range t.off[i:] {
		n.off = append(n.off, o+uint32(len(entry)))
	}
	return n
}

// without returns a tree that lacks the i-th entry.
func (t *Tree) without(i int) *Tree {
	start, end := int(t.off[i]), t.end(i)
	n := &Tree{
		raw: slices.Concat(t.raw[:start], t.raw[end:]),
		off: slices.Clone(t.off[:i]),
	}
	for _, o := range t.off[i+1:] {
		n.off = append(n.off, o-uint32(end-start))
	}
	return n
}
