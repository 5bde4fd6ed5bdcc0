package vcs_test

import (
	"bytes"
	"errors"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

func TestHashObject(t *testing.T) {
	if id := vcs.HashObject(vcs.KindBlob, nil).String(); id != "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391" {
		t.Errorf("empty blob is %s", id)
	}
	if id := vcs.EmptyTree.String(); id != "4b825dc642cb6eb9a060e54bf8d69288fbee4904" {
		t.Errorf("empty tree is %s", id)
	}
	for _, n := range []int{1, 480, 500, 505, 512, 513, 5000} {
		content := bytes.Repeat([]byte("x"), n)
		if got, want := vcs.HashObject(vcs.KindBlob, content).String(), vcstest.GitInput(t, ".", content, "hash-object", "--stdin"); got != want {
			t.Errorf("%d bytes: %s, git says %s", n, got, want)
		}
	}
}

func TestParseID(t *testing.T) {
	want := vcs.HashObject(vcs.KindBlob, nil)
	if got, err := vcs.ParseID(want.String()); got != want || err != nil {
		t.Errorf("%v %v", got, err)
	}
	for _, s := range []string{"", "e69de29", want.String() + "0", strings.Repeat("g", 40)} {
		if _, err := vcs.ParseID(s); !errors.Is(err, vcs.ErrBadID) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

var (
	ada = vcs.Signature{Name: "Ada L", Email: "ada@lan", When: time.Unix(1_700_000_000, 0).UTC()}
	bob = vcs.Signature{Name: "", Email: "", When: time.Unix(5, 0).In(time.FixedZone("", -(3*3600 + 30*60)))}
)

// TestEncodeAgainstGit: stock git stores and checks what we encode, gives it
// the same id, and we read back what went in.
func TestEncodeAgainstGit(t *testing.T) {
	dir := t.TempDir()
	vcstest.Git(t, dir, "init", "-q", "--bare", ".")
	store := func(kind vcs.Kind, content []byte) vcs.ID {
		t.Helper()
		id := vcs.HashObject(kind, content)
		if got := vcstest.GitInput(t, dir, content, "hash-object", "-w", "-t", kind.String(), "--stdin"); got != id.String() {
			t.Errorf("%v: %v, git says %s", kind, id, got)
		}
		return id
	}
	blob := store(vcs.KindBlob, []byte("text"))
	empty := store(vcs.KindTree, nil)
	tree, err := vcs.NewTree([]vcs.TreeEntry{
		{Name: "a", Mode: vcs.ModeDir, ID: empty}, {Name: "a.b", Mode: vcs.ModeFile, ID: blob},
		{Name: "a0", Mode: vcs.ModeExecutable, ID: blob}, {Name: "link", Mode: vcs.ModeSymlink, ID: blob}, {Name: "git", Mode: vcs.ModeFile, ID: blob},
	})
	if err != nil {
		t.Fatal(err)
	}
	root := store(vcs.KindTree, tree.Content())
	var commits []vcs.ID
	for _, c := range []vcs.Commit{
		{Tree: root, Author: ada, Committer: ada, Message: "subject\n\nbody\n\nArp-Node: n1\nArp-Cause: reply\n"},
		{Tree: root, Author: bob, Committer: ada, Message: ""},
		{Tree: root, Author: ada, Committer: bob, Message: "no newline", Extra: []vcs.Header{{Key: "encoding", Value: "UTF-8"}, {Key: "gpgsig", Value: "line 1\n\nline 3"}}},
		{Tree: empty, Author: ada, Committer: ada, Message: "\n\nodd\n\n"},
	} {
		if n := len(commits); n > 0 {
			c.Parents = commits[max(0, n-2):]
		}
		content := c.Encode(nil)
		id := store(vcs.KindCommit, content)
		commits = append(commits, id)
		back, err := vcs.ParseCommit(content)
		if err != nil {
			t.Fatal(err)
		}
		if again := back.Encode(nil); !bytes.Equal(again, content) {
			t.Errorf("read back as\n%s\nfrom\n%s", again, content)
		}
		if !back.Time().Equal(c.Time()) || back.Message != c.Message || !reflect.DeepEqual(back.Extra, c.Extra) {
			t.Errorf("read back %+v", back)
		}
	}
	tag := vcs.Tag{Target: commits[2], Kind: vcs.KindCommit, Name: "v1", Tagger: ada, Message: "tagged\n"}
	content := tag.Encode(nil)
	tagID := store(vcs.KindTag, content)
	if back, err := vcs.ParseTag(content); err != nil || *back != tag {
		t.Errorf("tag read back %+v, %v", back, err)
	}
	vcstest.Git(t, dir, "update-ref", "refs/tags/v1", tagID.String())
	vcstest.Git(t, dir, "update-ref", "refs/heads/last", commits[3].String())
	vcstest.Git(t, dir, "fsck", "--strict")
}

func TestSignatureIsCleaned(t *testing.T) {
	c := vcs.Commit{Tree: vcs.EmptyTree, Author: vcs.Signature{Name: " <Eve>\nparent x, ", Email: "a@b>\x00"}, Committer: ada, Message: "a\x00b"}
	back, err := vcs.ParseCommit(c.Encode(nil))
	if err != nil {
		t.Fatal(err)
	}
	if back.Author.Name != "Eveparent x" || back.Author.Email != "a@b" || back.Message != "ab" || len(back.Parents) > 0 {
		t.Errorf("%+v", back)
	}
}

func TestTrailers(t *testing.T) {
	for _, c := range []struct{ msg, want string }{
		{"subject\n\nKey: a\nOther: b: c\n", "a"},
		{"subject\n\nKey: a\nprose line\n", ""},
		{"Key: not in the subject\n", ""},
		{"s\n\nKey: 1\n\nmore\n", ""},
		{"s\n\nbody\n\nkey: 2\n\n", "2"},
	} {
		if got := (&vcs.Commit{Message: c.msg}).Trailer("Key"); got != c.want {
			t.Errorf("%q: %q, want %q", c.msg, got, c.want)
		}
	}
}

// TestRefuseWhatFsckRefuses: git fsck --strict complains of each of these, and
// so do we.
func TestRefuseWhatFsckRefuses(t *testing.T) {
	blob := vcs.HashObject(vcs.KindBlob, []byte("text"))
	entry := func(mode, name string) string { return mode + " " + name + "\x00" + string(blob[:]) }
	who := " Ada <a@b> 1 +0000\n"
	head := "tree " + vcs.EmptyTree.String() + "\n"
	for name, o := range map[string]struct {
		kind    vcs.Kind
		content string
	}{
		"unsorted":       {vcs.KindTree, entry("100644", "b") + entry("100644", "a")},
		"twice":          {vcs.KindTree, entry("100644", "a") + entry("100644", "a")},
		"file as folder": {vcs.KindTree, entry("100644", "a") + entry("100644", "a.x") + entry("40000", "a")},
		"empty name":     {vcs.KindTree, entry("100644", "")},
		"slash":          {vcs.KindTree, entry("100644", "a/b")},
		"dot":            {vcs.KindTree, entry("40000", ".")},
		"dot dot":        {vcs.KindTree, entry("40000", "..")},
		"dot git":        {vcs.KindTree, entry("40000", ".git")},
		"dot GIT":        {vcs.KindTree, entry("40000", ".GiT")},
		"short name":     {vcs.KindTree, entry("40000", "GIT~1")},
		"trailing dot":   {vcs.KindTree, entry("40000", ".git. ")},
		"ignorable":      {vcs.KindTree, entry("40000", ".g\u200cit")},
		"padded mode":    {vcs.KindTree, entry("0100644", "a")},
		"odd mode":       {vcs.KindTree, entry("100600", "a")},
		"null id":        {vcs.KindTree, "100644 a\x00" + string(make([]byte, 20))},
		"cut off":        {vcs.KindTree, entry("100644", "a")[:15]},
		"no tree":        {vcs.KindCommit, "author" + who + "committer" + who + "\nx"},
		"bad parent":     {vcs.KindCommit, head + "parent x\nauthor" + who + "committer" + who + "\nx"},
		"no author":      {vcs.KindCommit, head + "committer" + who + "\nx"},
		"no committer":   {vcs.KindCommit, head + "author" + who + "\nx"},
		"no e-mail":      {vcs.KindCommit, head + "author Ada 1 +0000\ncommitter" + who + "\nx"},
		"no date":        {vcs.KindCommit, head + "author Ada <a@b>\ncommitter" + who + "\nx"},
		"padded date":    {vcs.KindCommit, head + "author Ada <a@b> 01 +0000\ncommitter" + who + "\nx"},
		"date overflow":  {vcs.KindCommit, head + "author Ada <a@b> 99999999999999999999 +0000\ncommitter" + who + "\nx"},
		"bad zone":       {vcs.KindCommit, head + "author Ada <a@b> 1 +00\ncommitter" + who + "\nx"},
		"NUL":            {vcs.KindCommit, head + "author" + who + "committer" + who + "\nx\x00y"},
		"tag type":       {vcs.KindTag, "object " + blob.String() + "\ntype thing\ntag x\ntagger" + who + "\nx"},
		"tag object":     {vcs.KindTag, "type blob\ntag x\ntagger" + who + "\nx"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := vcs.CheckObject(o.kind, []byte(o.content)); !errors.Is(err, vcs.ErrBadObject) {
				t.Errorf("accepted (%v)", err)
			}
			dir := t.TempDir()
			vcstest.Git(t, dir, "init", "-q", "--bare", ".")
			vcstest.GitInput(t, dir, []byte("text"), "hash-object", "-w", "--stdin")
			vcstest.GitInput(t, dir, []byte(o.content), "hash-object", "--literally", "-w", "-t", o.kind.String(), "--stdin")
			cmd := exec.Command("git", "fsck", "--strict")
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err == nil && !strings.Contains(string(out), "warning") {
				t.Errorf("git fsck has nothing to say: %s", out)
			}
		})
	}
}

func FuzzParseCommit(f *testing.F) {
	c := vcs.Commit{Tree: vcs.EmptyTree, Parents: []vcs.ID{vcs.EmptyTree}, Author: ada, Committer: bob, Extra: []vcs.Header{{Key: "x", Value: "a\nb"}}, Message: "m\n"}
	f.Add(c.Encode(nil))
	c.Extra, c.Message = nil, "" // and a header that has no value on its first line
	f.Add(append(bytes.TrimSuffix(c.Encode(nil), []byte("\n")), "x\n y\n"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := vcs.ParseCommit(b)
		if err != nil {
			if !errors.Is(err, vcs.ErrBadObject) {
				t.Errorf("error %v", err)
			}
			return
		}
		d, err := vcs.ParseCommit(c.Encode(nil))
		if err != nil || !bytes.Equal(d.Encode(nil), c.Encode(nil)) {
			t.Errorf("encoding of %q does not read back: %v", b, err)
		}
		c.Trailers()
	})
}

func FuzzParseTag(f *testing.F) {
	tag := vcs.Tag{Target: vcs.EmptyTree, Kind: vcs.KindTree, Name: "n", Tagger: ada, Message: "m\n"}
	f.Add(tag.Encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := vcs.ParseTag(b); err != nil && !errors.Is(err, vcs.ErrBadObject) {
			t.Errorf("error %v", err)
		}
	})
}

func FuzzParseTree(f *testing.F) {
	id := string(vcs.EmptyTree[:])
	f.Add([]byte("100644 a\x00" + id + "40000 a-\x00" + id))
	f.Add([]byte("100644 a\x00" + id + "40000 a\x00" + id))
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := vcs.ParseTree(b)
		if err != nil {
			if !errors.Is(err, vcs.ErrBadObject) {
				t.Errorf("error %v", err)
			}
			return
		}
		entries := make([]vcs.TreeEntry, tree.Len())
		for i := range entries {
			entries[i] = tree.Entry(len(entries) - 1 - i)
		}
		again, err := vcs.NewTree(entries)
		if err != nil || !bytes.Equal(again.Content(), b) {
			t.Errorf("%q is rebuilt differently: %v", b, err)
		}
		for _, e := range entries {
			if found, ok := tree.Find(e.Name); !ok || found != e {
				t.Errorf("%q is not found", e.Name)
			}
		}
	})
}

func FuzzCheckRefName(f *testing.F) {
	for _, s := range []string{"refs/heads/a", "refs/heads/a/.b", "refs/heads/a.lock", "refs/heads/a@{b", "refs/heads/@", "refs/x", "refs/heads/ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if vcs.CheckRefName(name) != nil || len(name) > 300 {
			return
		}
		if err := exec.Command("git", "check-ref-format", name).Run(); err != nil {
			t.Errorf("git refuses %q", name)
		}
	})
}
