package vcs

import (
	"bytes"
	"strconv"
	"strings"
)

// What a view tells of one commit: its parents, what it changed, its message and
// its content.

// parents reads a commit's parents, and the base if there is one, off its
// operands.
func (v *segView) parents(r *byteReader, i uint32, flags byte) (out []logParent, base *uint32, err error) {
	num := v.first + i
	at := func(d uint64) logParent {
		p := logParent{num: num - uint32(d)}
		switch {
		case d == 0 || d > uint64(num):
			r.fail("parent outside of the log")
		case p.num < v.first:
			var ok bool
			if p.id, ok = v.outside[p.num]; !ok {
				r.fail("parent without an id")
			}
		}
		return p
	}
	switch flags & parentsMask {
	case parentsPrev:
		out = []logParent{at(1)}
	case parentsOne:
		out = []logParent{at(r.uvarint())}
	case parentsList:
		n := r.count(1)
		if n == 0 {
			base = new(noParent)
			if d := r.uvarint(); d > uint64(num) {
				r.fail("base outside of the log")
			} else if d > 0 {
				*base = num - uint32(d)
			}
			n = r.count(1)
		}
		for ; n > 0 && r.err == nil; n-- {
			if d := r.uvarint(); d > 0 {
				out = append(out, at(d))
			} else {
				out = append(out, logParent{native: true, id: r.id()})
			}
		}
	}
	return out, base, r.err
}

// viewChange is one changed file.
type viewChange struct {
	key  uint32
	kind uint8
	mode Mode
	link ID
	prog uint16
	args []byte
}

// changes reads a commit's changes.
func (v *segView) changes(ops, keys *byteReader, rec *viewRecord, visit func(viewChange) error) error {
	n, list := 1, rec.flags&flagList != 0
	if list {
		n = keys.count(1)
	}
	key, prog := int64(0), uint64(rec.value)
	for ; n > 0; n-- {
		c := viewChange{mode: ModeFile}
		u := keys.uvarint()
		if list {
			c.kind = uint8(u & 3)
			u >>= 2
			key += int64(u>>1) ^ -int64(u&1)
		} else {
			key = int64(u)
		}
		c.key = uint32(key)
		if key < 0 || key >= 1<<31 {
			keys.fail("unknown key")
		}
		switch c.kind {
		case changeLink:
			c.link = ops.id()
		case changeMode:
			c.mode = Mode(ops.uvarint())
			if !c.mode.valid() || c.mode.Kind() != KindBlob {
				ops.fail("bad mode")
			}
		}
		if c.kind == changeSet || c.kind == changeMode {
			if rec.flags&flagProgs != 0 {
				prog = ops.uvarint()
			}
			if prog >= uint64(len(v.programs)) {
				ops.fail("unknown program")
				return ops.err
			}
			before := ops.b
			v.programs[prog].skip(ops)
			c.args = before[:len(before)-len(ops.b)]
		}
		c.prog = uint16(prog)
		if ops.err != nil {
			return ops.err
		}
		if keys.err != nil {
			return keys.err
		}
		if err := visit(c); err != nil {
			return err
		}
	}
	return nil
}

// eachChange visits a commit's changes.
func (v *segView) eachChange(i uint32, visit func(viewChange) error) error {
	rec := v.rec(i)
	ops := byteReader{b: v.raw[rec.ops:v.trees]}
	if rec.flags&flagRaw != 0 {
		ops.bytes()
		if rec.flags&flagProgs != 0 {
			ops.uvarint()
		}
	} else {
		v.programs[rec.message].skip(&ops)
	}
	return v.changes(&ops, &byteReader{b: v.raw[rec.keys:v.segment.ops]}, rec, visit)
}

// parentsOf returns a commit's parents.
func (v *segView) parentsOf(i uint32) ([]logParent, error) {
	parents, _, err := v.parentsAndBase(i)
	return parents, err
}

func (v *segView) parentsAndBase(i uint32) ([]logParent, *uint32, error) {
	rec := v.rec(i)
	return v.parents(&byteReader{b: v.raw[rec.start:v.trees]}, i, rec.flags)
}

// leaf returns the name that a commit's message may speak of: that of its first
// changed key.
func (v *segView) leaf(rec *viewRecord, keys []string) (string, error) {
	r := byteReader{b: v.raw[rec.keys:v.segment.ops]}
	var key int64
	if rec.flags&flagList == 0 {
		key = int64(r.uvarint())
	} else {
		if r.count(1) == 0 {
			return "", r.err
		}
		u := r.uvarint() >> 2
		key = int64(u>>1) ^ -int64(u&1)
	}
	if r.err == nil && (key < 0 || key >= int64(len(keys))) {
		r.fail("unknown key")
	}
	if r.err != nil {
		return "", r.err
	}
	return leafName(keys[key]), nil
}

func leafName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// messageOf returns a commit's message, of which its values may use words.
func (v *segView) messageOf(i uint32, keys []string) (string, error) {
	b, err := v.appendMessage(make([]byte, 0, 512), v.rec(i), keys)
	return asString(b), err
}

func (v *segView) appendMessage(b []byte, rec *viewRecord, keys []string) (_ []byte, err error) {
	c := &v.text
	if c.leaf, err = v.leaf(rec, keys); err != nil {
		return b, err
	}
	c.time, c.self, c.said = rec.time, true, c.said[:0]
	r := byteReader{b: v.raw[rec.ops:v.trees]}
	return c.render(b, v.programs[rec.message], &r), r.err
}

// appendContent makes a commit object.
func (v *segView) appendContent(b []byte, i uint32, keys []string, parents []ID) ([]byte, error) {
	rec := v.rec(i)
	b = appendCommitHead(b, v.tree(i), parents)
	if rec.flags&flagRaw != 0 {
		r := byteReader{b: v.raw[rec.ops:v.trees]}
		return append(b, r.bytes()...), r.err
	}
	b = append(v.appendPeople(b, rec), '\n', '\n')
	from := len(b)
	b, err := v.appendMessage(b, rec, keys)
	if bytes.IndexByte(b[from:], 0) >= 0 {
		b = appendMessage(b[:from], string(b[from:]))
	}
	return b, err
}

// appendPeople writes the lines of author and committer as Commit.Encode does,
// without the end of the last one.
func (v *segView) appendPeople(b []byte, rec *viewRecord) []byte {
	if v.heads == nil {
		v.heads = make([]string, 2*len(v.people))
	}
	h := v.heads[2*rec.who:][:2]
	if h[0] == "" {
		author, committer := splitPeople(v.people[rec.who], 0)
		h[0], h[1] = "author "+author.String()+" ", "\ncommitter "+committer.String()+" "
	}
	for _, who := range h {
		b = strconv.AppendInt(append(b, who...), max(rec.time, 0), 10)
		b = append(b, " +0000"...)
	}
	return b
}
