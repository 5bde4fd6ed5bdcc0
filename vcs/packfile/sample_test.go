package packfile_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// Long messages and files that are alike are told as deltas of one another, and
// stock git reads them all.
func TestAlikeCommitsAndFilesAreDeltas(t *testing.T) {
	pack := func(opt packfile.Options) []byte {
		r, err := vcs.Open(context.Background(), mem.New(), vcs.Config[string, string]{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var head vcs.ID
		for i := range 600 {
			id := vcs.HashObject(vcs.KindBlob, fmt.Append(nil, i))
			message := fmt.Sprintf("change %d\n\nCause: something that takes some words to tell\nAddress: 10.9.%d.%d\n", i, i/250, i%250)
			if i%3 == 0 {
				message += "Detail: only here\n"
			}
			message += fmt.Sprintf("Frame: ffffffffffff%x080600010800060400010000%x\nNode: observer of the network\n", id[:6], id[:6])
			value := fmt.Sprintf("state dynamic\nmac %x\nfirst-seen 2026-03-01T12:00:%02dZ\nlearned solicitation of a neighbour\ninterface eth0\nnode observer\nclock %d\n", id[:6], i%60, 1700000000+i)
			head, err = r.Set(context.Background(), "primary", fmt.Sprint("host-", i), value, vcs.CommitInfo{Message: message, Time: time.Unix(1700000000+int64(i), 0)})
			if err != nil {
				t.Fatal(err)
			}
		}
		set, err := packfile.Select(context.Background(), r.Store(), packfile.Selection{Wants: []vcs.ID{head}})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := set.Write(&out, opt); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "x.git")
		vcstest.Git(t, t.TempDir(), "init", "-q", "--bare", dir)
		vcstest.GitInput(t, dir, out.Bytes(), "index-pack", "--stdin", "--strict")
		vcstest.Git(t, dir, "update-ref", "refs/heads/primary", head.String())
		vcstest.Git(t, dir, "fsck", "--strict")
		return out.Bytes()
	}
	alike, full := pack(packfile.Options{}), pack(packfile.Options{NoDeltas: true})
	if each := len(alike) / 600; each > 500 {
		t.Errorf("%d octets a commit, %d without deltas", each, len(full)/600)
	}
	pack(packfile.Options{RefDeltas: true})
}
