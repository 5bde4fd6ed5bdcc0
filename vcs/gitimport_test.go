package vcs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// Stock git, told the same changes in its own way, makes the same commits.
func TestFastImportMakesTheSameCommits(t *testing.T) {
	for seed := range uint64(4) {
		r := open(t, vcs.Config[string, string]{Merge: vcstest.Larger})
		vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 100 + seed, Steps: 150})
		var in strings.Builder
		marks := map[vcs.ID]int{}
		for _, b := range r.Branches() {
			tellFastImport(t, r, b.Head, &in, marks)
			fmt.Fprintf(&in, "reset refs/heads/%s\nfrom :%d\n\n", b.Name, marks[b.Head])
		}
		dir := t.TempDir()
		vcstest.Git(t, dir, "init", "-q", "--bare", ".")
		file := filepath.Join(dir, "marks")
		vcstest.GitInput(t, dir, []byte(in.String()), "fast-import", "--quiet", "--force", "--export-marks="+file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		theirs := map[int]string{}
		for line := range strings.Lines(string(text)) {
			var mark int
			var id string
			if _, err := fmt.Sscanf(line, ":%d %s", &mark, &id); err != nil {
				t.Fatal(err)
			}
			theirs[mark] = id
		}
		if len(marks) < 50 || len(theirs) != len(marks) {
			t.Errorf("%d commits, git has %d", len(marks), len(theirs))
		}
		for id, mark := range marks {
			if theirs[mark] != id.String() {
				c := must(r.Store().ReadCommit(id))(t)
				t.Fatalf("seed %d: %v %q, git says %s", seed, id, c.Subject(), theirs[mark])
			}
		}
	}
}

// tellFastImport writes a commit, after its ancestors, for git fast-import.
func tellFastImport(t *testing.T, r *vcs.Repo[string, string], id vcs.ID, in *strings.Builder, marks map[vcs.ID]int) {
	if marks[id] > 0 {
		return
	}
	c := must(r.Store().ReadCommit(id))(t)
	for _, p := range c.Parents {
		tellFastImport(t, r, p, in, marks)
	}
	marks[id] = len(marks) + 1
	first := vcs.ID{}
	fmt.Fprintf(in, "reset refs/heads/tmp\n\ncommit refs/heads/tmp\nmark :%d\n", marks[id])
	for _, who := range []struct {
		role string
		s    vcs.Signature
	}{{"author", c.Author}, {"committer", c.Committer}} {
		fmt.Fprintf(in, "%s %v %d +0000\n", who.role, who.s, who.s.When.Unix())
	}
	fmt.Fprintf(in, "data %d\n%s\n", len(c.Message), c.Message)
	for i, p := range c.Parents {
		if i == 0 {
			first = p
			fmt.Fprintf(in, "from :%d\n", marks[p])
		} else {
			fmt.Fprintf(in, "merge :%d\n", marks[p])
		}
	}
	for d, err := range r.Diff(first, id) {
		if err != nil {
			t.Fatal(err)
		}
		if d.New.Present {
			fmt.Fprintf(in, "M 644 inline %s\ndata %d\n%s\n", d.Path, len(d.New.Value), d.New.Value)
		} else {
			fmt.Fprintf(in, "D %s\n", d.Path)
		}
	}
	in.WriteString("\n")
}

// Annotated and lightweight tags of every sort of object, tags of tags too.
func TestTagsAgainstGit(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	head := must(r.Set(ctx, "primary", "d/k", "v", at(0, "one")))(t)
	c := must(r.Store().ReadCommit(head))(t)
	snap := must(r.AtCommit(head))(t)
	blob, _, err := snap.Stat("d/k")
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]vcs.ID{"commit": head, "tree": c.Tree, "blob": blob.ID}
	for sort, target := range targets {
		for style, message := range map[string]string{"light": "", "annotated": "A tag\n\nof several lines: é\n"} {
			name := sort + "/" + style
			id, err := r.CreateTag(ctx, name, target, vcs.CommitInfo{Message: message, Time: at(5, "").Time})
			if err != nil {
				t.Fatal(name, err)
			}
			if _, err := r.CreateTag(ctx, "of/"+name, id, vcs.CommitInfo{Message: "of a " + style + " tag", Time: at(6, "").Time}); err != nil {
				t.Fatal(name, err)
			}
		}
	}
	dir := vcstest.Export(t, r.Store())
	refs, err := r.Store().Refs()
	if err != nil {
		t.Fatal(err)
	}
	tags := 0
	for _, ref := range refs {
		name, ok := strings.CutPrefix(ref.Name, "refs/tags/")
		if !ok {
			continue
		}
		tags++
		kind, content, err := r.Store().ReadObject(ref.Target)
		if err != nil {
			t.Fatal(err)
		}
		if got := vcstest.Git(t, dir, "cat-file", "-t", name); got != kind.String() {
			t.Errorf("%s is a %v, git says %s", name, kind, got)
		}
		if kind == vcs.KindTag {
			if got := vcstest.GitInput(t, dir, content, "mktag", "--strict"); got != ref.Target.String() {
				t.Errorf("%s is %v, git mktag says %s", name, ref.Target, got)
			}
			tag := must(vcs.ParseTag(content))(t)
			if got := vcstest.Git(t, dir, "for-each-ref", "--format=%(object) %(type) %(taggername) %(taggerdate:unix)\n%(contents)", ref.Name); got !=
				fmt.Sprintf("%v %v %s %d\n%s", tag.Target, tag.Kind, tag.Tagger.Name, tag.Tagger.When.Unix(), tag.Message) {
				t.Errorf("%s: %+v, git says %s", name, tag, got)
			}
		}
		want, code := gitCode(t, dir, "rev-parse", "--verify", "-q", name+"^{commit}")
		switch id, err := r.Resolve(name); {
		case err != nil && code == 0, err == nil && code != 0, err == nil && id.String() != want:
			t.Errorf("%s resolves to %v, %v, git says %s, %d", name, id, err, want, code)
		}
	}
	if tags != 12 {
		t.Errorf("%d tags, want 12", tags)
	}
}
