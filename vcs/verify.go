package vcs

import (
	"context"
	"fmt"
	"strings"
)

// Report is what Verify found.
type Report struct {
	Refs     int
	Commits  int // that were read and are as they should be
	Trees    int
	Blobs    int
	Problems []Problem
	// Earlier says that the commits behind some were not read again, because an
	// earlier check vouches for them.
	Earlier bool
	// Notes say what else an opening found and did: what a crash left, which is
	// no damage.
	Notes []string
}

// Problem is one object that is missing or damaged, or one file of a backend: it
// has neither Ref nor ID.
type Problem struct {
	Ref  string // through which it was met first
	ID   ID
	Path string // of a file or folder, within the tree of the ref's head
	Err  error
}

// String says what is wrong with which object.
func (p Problem) String() string {
	if p.ID.IsZero() {
		return fmt.Sprintf("%s: %v", p.Path, p.Err)
	}
	where := p.Ref
	if p.Path != "" {
		where += ":" + p.Path
	}
	return fmt.Sprintf("%s: %v: %v", where, p.ID, p.Err)
}

// OK reports whether nothing is wrong.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// String sums up in one line.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d refs, %d commits, %d trees, %d blobs checked", r.Refs, r.Commits, r.Trees, r.Blobs)
	if r.Earlier {
		b.WriteString("; older commits were checked before")
	}
	if n := len(r.Problems); n > 0 {
		fmt.Fprintf(&b, "; %d problems, first: %v", n, r.Problems[0])
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "; %s", n)
	}
	return b.String()
}

// Verify checks that what refs lead to is there, hashes to its name and parses:
// the whole tree of each head, and the chain of commits behind it, without
// their trees, down to commits that known (which may be nil) vouches for. The
// error is the context's; everything else is in the report.
func Verify(ctx context.Context, r ObjectReader, refs []Ref, known func(ID) bool) (Report, error) {
	v := verifier{ctx: ctx, r: r, known: known, seen: make(map[ID]bool)}
	for _, ref := range refs {
		v.rep.Refs++
		v.ref = ref.Name
		v.head(ref.Target)
		if err := ctx.Err(); err != nil {
			return v.rep, err
		}
	}
	return v.rep, nil
}

type verifier struct {
	ctx   context.Context
	r     ObjectReader
	known func(ID) bool
	seen  map[ID]bool
	ref   string
	rep   Report
}

func (v *verifier) problem(id ID, path string, err error) {
	v.rep.Problems = append(v.rep.Problems, Problem{v.ref, id, path, err})
}

// object reads and hashes an object.
func (v *verifier) object(id ID) (Kind, []byte, error) {
	kind, content, err := v.r.ReadObject(id)
	if err == nil && HashObject(kind, content) != id {
		err = fmt.Errorf("%w: content hashes to %v", ErrCorrupt, HashObject(kind, content))
	}
	return kind, content, err
}

// head checks what a ref points to.
func (v *verifier) head(id ID) {
	for range 64 {
		kind, content, err := v.object(id)
		if err != nil {
			v.problem(id, "", err)
			return
		}
		switch kind {
		case KindTag:
			t, err := ParseTag(content)
			if err != nil {
				v.problem(id, "", err)
				return
			}
			id = t.Target
			continue
		case KindCommit:
			if c, err := ParseCommit(content); err == nil {
				v.entry(TreeEntry{Mode: ModeDir, ID: c.Tree}, "")
			}
			v.chain(id)
		case KindTree:
			v.entry(TreeEntry{Mode: ModeDir, ID: id}, "")
		}
		return
	}
}

// chain checks a commit and those behind it.
func (v *verifier) chain(id ID) {
	todo := []ID{id}
	for len(todo) > 0 && v.ctx.Err() == nil {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if v.seen[id] {
			continue
		}
		v.seen[id] = true
		kind, content, err := v.object(id)
		if err == nil && kind != KindCommit {
			err = fmt.Errorf("%w: a %v, not a commit", ErrWrongKind, kind)
		}
		var c *Commit
		if err == nil {
			c, err = ParseCommit(content)
		}
		if err != nil {
			v.problem(id, "", err)
			continue
		}
		v.rep.Commits++
		if v.known == nil || !v.known(id) {
			todo = append(todo, c.Parents...)
		} else if len(c.Parents) > 0 {
			v.rep.Earlier = true
		}
	}
}

// entry checks a tree or blob and what is below it.
func (v *verifier) entry(e TreeEntry, path string) {
	if v.seen[e.ID] || e.ID == EmptyTree || e.Mode == ModeSubmodule || v.ctx.Err() != nil {
		return
	}
	v.seen[e.ID] = true
	kind, content, err := v.object(e.ID)
	if err == nil && kind != e.Mode.Kind() {
		err = fmt.Errorf("%w: a %v, not a %v", ErrWrongKind, kind, e.Mode.Kind())
	}
	if err != nil {
		v.problem(e.ID, path, err)
		return
	}
	if kind == KindBlob {
		v.rep.Blobs++
		return
	}
	v.rep.Trees++
	t, err := ParseTree(content)
	if err != nil {
		v.problem(e.ID, path, err)
		return
	}
	for i := range t.Len() {
		sub := t.Entry(i)
		v.entry(sub, join(path, sub.Name))
	}
}
