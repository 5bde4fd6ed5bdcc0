package gitremote

import (
	"fmt"
	"strings"

	"arpeggio/vcs"
)

// Refspec says which refs of one side go to which of the other, as in
// git-fetch(1) and git-push(1): [+]SRC:DST, where one * may stand on each side
// for the same text. An empty Src deletes Dst.
type Refspec struct {
	Src, Dst string
	// Force also allows moves that are no fast-forward.
	Force bool
}

// ParseRefspec reads a refspec as it is written: "+refs/heads/*:refs/remotes/x/*",
// "primary", "left:right", "primary~3:old", ":gone". Names may be short. Without
// a colon, Dst is empty and for the caller to fill in. The error wraps
// ErrRefspec.
func ParseRefspec(text string) (Refspec, error) {
	bad := func(why string) (Refspec, error) {
		return Refspec{}, fmt.Errorf("%w: %.120q: %s", ErrRefspec, text, why)
	}
	var s Refspec
	rest, force := strings.CutPrefix(text, "+")
	s.Force = force
	src, dst, both := strings.Cut(rest, ":")
	s.Src, s.Dst = src, dst
	switch {
	case rest == "":
		return bad("it is empty")
	case both && dst == "":
		return bad("it names no destination")
	case strings.Count(src, "*") > 1 || strings.Count(dst, "*") > 1:
		return bad("more than one * on a side")
	case both && src == "" && strings.Contains(dst, "*"):
		return bad("a pattern cannot be deleted")
	case both && src != "" && strings.Contains(src, "*") != strings.Contains(dst, "*"):
		return bad("a * stands on one side only")
	}
	for _, name := range []string{src, dst} {
		if name == "" || name == "HEAD" {
			continue
		}
		if _, err := vcs.ParseID(name); err == nil && name == src {
			continue
		}
		if i := strings.IndexAny(name, "~^"); i > 0 && name == src { // a revision, for a push
			name = name[:i]
		}
		full := strings.Replace(name, "*", "x/x", 1)
		if !strings.HasPrefix(full, "refs/") {
			full = vcs.BranchRef(full)
		}
		if err := vcs.CheckRefName(full); err != nil {
			return bad("not a name of a ref: " + name)
		}
	}
	return s, nil
}

// String writes the refspec as ParseRefspec reads it.
func (s Refspec) String() string {
	text := s.Src
	if s.Force {
		text = "+" + text
	}
	if s.Dst != "" {
		text += ":" + s.Dst
	}
	return text
}

// isPattern reports whether the refspec stands for many refs.
func (s Refspec) isPattern() bool { return strings.Contains(s.Src, "*") }

// expand returns what name on the Src side becomes on the other.
func (s Refspec) expand(name string) (string, bool) { return mapName(s.Src, s.Dst, name) }

// owns reports whether a name on the Dst side is the refspec's, and what stands
// for it on the Src side.
func (s Refspec) owns(name string) (string, bool) { return mapName(s.Dst, s.Src, name) }

// mapName maps a name by a pair of patterns, or of equal names.
func mapName(from, to, name string) (string, bool) {
	before, after, pattern := strings.Cut(from, "*")
	if !pattern {
		return to, name == from
	}
	if len(name) <= len(before)+len(after) || !strings.HasPrefix(name, before) || !strings.HasSuffix(name, after) {
		return "", false
	}
	return strings.Replace(to, "*", name[len(before):len(name)-len(after)], 1), true
}

// fullName finds the ref that a short name means among those that exist, in
// git's order (gitrevisions(7)).
func fullName(name, head string, exists func(string) bool) (string, bool) {
	if name == "HEAD" && head != "" {
		name = head
	}
	for _, full := range []string{name, "refs/" + name, vcs.TagRef(name), vcs.BranchRef(name)} {
		if strings.HasPrefix(full, "refs/") && exists(full) {
			return full, true
		}
	}
	return "", false
}
