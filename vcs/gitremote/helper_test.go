package gitremote

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// newStore opens a string repository in memory.
func newStore(t testing.TB) *vcs.Repo[string, string] {
	t.Helper()
	r, err := vcs.Open(context.Background(), mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// write makes n commits on a branch, each of one changed key.
func write(t testing.TB, r *vcs.Repo[string, string], branch string, from, n int) vcs.ID {
	t.Helper()
	var id vcs.ID
	for i := from; i < from+n; i++ {
		info := vcs.CommitInfo{Message: fmt.Sprintf("%s %d", branch, i), Time: time.Unix(1_700_000_000+int64(i), 0),
			Author: vcs.Signature{Name: "node", Email: "node@lan"}}
		var err error
		id, err = r.Update(context.Background(), branch, vcs.TxOptions{CommitInfo: info}, func(tx *vcs.Tx[string, string]) error {
			tx.Set(vcstest.Key(i%20), fmt.Sprintf("%s %d\n", branch, i))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return id
}

// check runs git fsck and compares the directory's refs with want's.
func check(t testing.TB, dir string, want vcs.RefReader) {
	t.Helper()
	if out := vcstest.Git(t, dir, "fsck", "--strict", "--full", "--no-dangling"); out != "" && !strings.HasPrefix(out, "notice:") {
		t.Errorf("git fsck --strict: %s", out)
	}
	refs, err := want.Refs()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range refs {
		lines = append(lines, r.Target.String()+" "+r.Name)
	}
	if got := vcstest.Git(t, dir, "for-each-ref", "--format=%(objectname) %(refname)"); got != strings.Join(lines, "\n") {
		t.Errorf("refs:\n%s\nwant:\n%s", got, strings.Join(lines, "\n"))
	}
	if got := vcstest.Git(t, dir, "symbolic-ref", "HEAD"); got != want.Head() {
		t.Errorf("HEAD names %s, want %s", got, want.Head())
	}
}

func snapshot(t testing.TB, dir string, src Source) Report {
	t.Helper()
	rep, err := WriteSnapshot(dir, src)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}
