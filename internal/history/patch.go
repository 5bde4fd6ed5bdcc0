package history

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"

	"arpeggio/vcs"
)

// PatchLine is one line of a unified diff, without its end. Kind is what it
// begins with: ' ', '-', '+', '@' for a hunk's header, 'd' for a file's.
type PatchLine struct {
	Kind byte
	Text string
}

// around is how many equal lines surround a change.
const around = 3

// Patch yields the change of one file as git diff prints it, so that git apply
// takes it. Files with NUL bytes are only said to differ.
func Patch(r vcs.ObjectReader, ch vcs.TreeChange) iter.Seq2[PatchLine, error] {
	return func(yield func(PatchLine, error) bool) {
		old, err := blob(r, ch.Old)
		if err == nil {
			var now []byte
			if now, err = blob(r, ch.New); err == nil {
				p := patch{ch: ch, yield: func(kind byte, text string) bool { return yield(PatchLine{kind, text}, nil) }}
				_ = p.head() && p.body(old, now)
				return
			}
		}
		yield(PatchLine{}, err)
	}
}

// blob returns what a tree entry holds; nothing for a zero entry, and for a
// submodule the line that git shows.
func blob(r vcs.ObjectReader, e vcs.TreeEntry) ([]byte, error) {
	switch {
	case e.ID.IsZero():
		return nil, nil
	case e.Mode == vcs.ModeSubmodule:
		return fmt.Appendf(nil, "Subproject commit %v\n", e.ID), nil
	}
	kind, content, err := r.ReadObject(e.ID)
	if err == nil && kind != vcs.KindBlob {
		err = fmt.Errorf("%w: %v is a %v, not a blob", vcs.ErrWrongKind, e.ID, kind)
	}
	return content, err
}

type patch struct {
	ch    vcs.TreeChange
	yield func(kind byte, text string) bool
}

// head yields the lines before the hunks that git calls extended headers.
func (p *patch) head() bool {
	a, b := Quote("a/"+p.ch.Path), Quote("b/"+p.ch.Path)
	if !p.yield('d', "diff --git "+a+" "+b) {
		return false
	}
	o, n := p.ch.Old, p.ch.New
	ids := o.ID.Short() + ".." + n.ID.Short()
	switch {
	case o.Mode == 0:
		return p.yield('d', "new file mode "+n.Mode.String()) && p.yield('d', "index "+ids)
	case n.Mode == 0:
		return p.yield('d', "deleted file mode "+o.Mode.String()) && p.yield('d', "index "+ids)
	case o.Mode != n.Mode:
		ok := p.yield('d', "old mode "+o.Mode.String()) && p.yield('d', "new mode "+n.Mode.String())
		return ok && (o.ID == n.ID || p.yield('d', "index "+ids))
	}
	return p.yield('d', "index "+ids+" "+n.Mode.String())
}

// body yields the hunks.
func (p *patch) body(old, now []byte) bool {
	if bytes.Equal(old, now) {
		return true
	}
	a, b := Quote("a/"+p.ch.Path), Quote("b/"+p.ch.Path)
	if p.ch.Old.Mode == 0 {
		a = "/dev/null"
	}
	if p.ch.New.Mode == 0 {
		b = "/dev/null"
	}
	if bytes.IndexByte(old, 0) >= 0 || bytes.IndexByte(now, 0) >= 0 {
		return p.yield('d', "Binary files "+a+" and "+b+" differ")
	}
	if !p.yield('d', "--- "+a) || !p.yield('d', "+++ "+b) {
		return false
	}
	x, y := splitLines(old), splitLines(now)
	script := edits(x, y)
	for start := 0; start < len(script); {
		if script[start].kind == ' ' {
			start++
			continue
		}
		// A hunk ends where more equal lines follow than both contexts hold.
		end, equal := start, 0
		for i := start; i < len(script) && equal <= 2*around; i++ {
			if script[i].kind == ' ' {
				equal++
			} else {
				end, equal = i+1, 0
			}
		}
		first, last := max(start-around, 0), min(end+around, len(script))
		if !p.hunk(script[first:last]) {
			return false
		}
		start = end
	}
	return true
}

// edit is a line of the script that makes b of a, and where it stands in both.
type edit struct {
	kind byte
	text []byte
	i, j int
}

func edits(a, b [][]byte) (script []edit) {
	c := compareLines(a, b)
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && c.removed[i]:
			script = append(script, edit{'-', a[i], i, j})
			i++
		case j < len(b) && c.added[j]:
			script = append(script, edit{'+', b[j], i, j})
			j++
		default:
			script = append(script, edit{' ', b[j], i, j})
			i++
			j++
		}
	}
	return script
}

func (p *patch) hunk(script []edit) bool {
	olds, news := 0, 0
	for _, e := range script {
		if e.kind != '+' {
			olds++
		}
		if e.kind != '-' {
			news++
		}
	}
	if !p.yield('@', "@@ -"+span(script[0].i, olds)+" +"+span(script[0].j, news)+" @@") {
		return false
	}
	for _, e := range script {
		line, ended := bytes.CutSuffix(e.text, []byte("\n"))
		if !p.yield(e.kind, string(e.kind)+string(line)) {
			return false
		}
		if !ended && !p.yield('\\', `\ No newline at end of file`) {
			return false
		}
	}
	return true
}

// span writes the place of n lines behind the first i.
func span(i, n int) string {
	switch n {
	case 0:
		return strconv.Itoa(i) + ",0"
	case 1:
		return strconv.Itoa(i + 1)
	}
	return strconv.Itoa(i+1) + "," + strconv.Itoa(n)
}

// Quote writes a path as git does: in C's manner when it holds anything that a
// line or a terminal would trip over.
func Quote(path string) string {
	plain := true
	for i := range len(path) {
		if c := path[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			plain = false
		}
	}
	if plain {
		return path
	}
	b := []byte{'"'}
	for i := range len(path) {
		switch c := path[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < ' ' || c >= 0x7f:
			b = fmt.Appendf(b, "\\%03o", c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
