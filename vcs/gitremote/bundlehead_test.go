package gitremote

import (
	"testing"

	"arpeggio/vcs"
)

// The history of a table has its short-lived branches at the same commits as
// primary; a clone of what a bundle brings is to check out primary.
func TestWhatABundlesCloneChecksOut(t *testing.T) {
	x, y := vcs.HashObject(vcs.KindBlob, []byte("x")), vcs.HashObject(vcs.KindBlob, []byte("y"))
	refs := func(at vcs.ID, names ...string) (out []vcs.Ref) {
		for _, n := range names {
			out = append(out, vcs.Ref{Name: n, Target: at})
		}
		return out
	}
	for _, c := range []struct {
		refs []vcs.Ref
		head vcs.ID
		want string
	}{
		{refs(x, "refs/heads/expire/1", "refs/heads/learn", "refs/heads/primary"), x, "refs/heads/primary"},
		{refs(x, "refs/heads/expire/1", "refs/heads/learn", "refs/heads/primary"), vcs.ID{}, "refs/heads/primary"},
		{append(refs(x, "refs/heads/main"), refs(y, "refs/heads/a", "refs/heads/b")...), y, "refs/heads/a"},
		{refs(x, "refs/heads/a", "refs/heads/master"), x, "refs/heads/master"},
		{refs(x, "refs/heads/a", "refs/tags/main"), y, "refs/heads/a"},
		{refs(x, "refs/tags/v1"), x, defaultHead},
	} {
		h := bundleHeader{refs: c.refs, head: c.head}
		if got := h.headBranch(); got != c.want {
			t.Errorf("%v, HEAD at %v: %s, want %s", c.refs, c.head, got, c.want)
		}
	}
}
