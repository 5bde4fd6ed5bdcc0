package gitserve

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// testRepo is a repository in memory whose history a test makes by hand.
type testRepo struct {
	mu      sync.Mutex
	objects map[vcs.ID]vcs.Object
	refs    map[string]vcs.ID
	head    string
	clock   int64
	reads   int
	onRead  func(n int) error // called without the lock
}

func newTestRepo() *testRepo {
	return &testRepo{
		objects: map[vcs.ID]vcs.Object{},
		refs:    map[string]vcs.ID{},
		head:    "refs/heads/primary",
		clock:   1_700_000_000,
	}
}

func (r *testRepo) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	r.mu.Lock()
	o, ok := r.objects[id]
	r.reads++
	n, hook := r.reads, r.onRead
	r.mu.Unlock()
	if hook != nil {
		if err := hook(n); err != nil {
			return 0, nil, err
		}
	}
	if !ok {
		return 0, nil, fmt.Errorf("%w: %s", vcs.ErrNotFound, id)
	}
	return o.Kind, o.Content, nil
}

func (r *testRepo) Refs() ([]vcs.Ref, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var refs []vcs.Ref
	for name, id := range r.refs {
		refs = append(refs, vcs.Ref{Name: name, Target: id})
	}
	slices.SortFunc(refs, func(a, b vcs.Ref) int { return strings.Compare(a.Name, b.Name) })
	return refs, nil
}

// hook has f called at each read, with the number of reads so far.
func (r *testRepo) hook(f func(n int) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onRead, r.reads = f, 0
}

func (r *testRepo) Head() string { return r.head }

func (r *testRepo) set(name string, id vcs.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id.IsZero() {
		delete(r.refs, name)
	} else {
		r.refs[name] = id
	}
}

func (r *testRepo) get(name string) vcs.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refs[name]
}

func (r *testRepo) put(k vcs.Kind, content []byte) vcs.ID {
	id := vcs.HashObject(k, content)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.objects[id] = vcs.Object{ID: id, Kind: k, Content: content}
	return id
}

// commit stores a commit of a few files, time one minute on, and moves branch.
func (r *testRepo) commit(t testing.TB, branch, message string, files map[string]string, parents ...vcs.ID) vcs.ID {
	t.Helper()
	var entries []vcs.TreeEntry
	for name, text := range files {
		entries = append(entries, vcs.TreeEntry{Name: name, Mode: vcs.ModeFile, ID: r.put(vcs.KindBlob, []byte(text))})
	}
	tree, err := vcs.NewTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	r.clock += 60
	who := vcs.Signature{Name: "node", Email: "node@lan", When: time.Unix(r.clock, 0).UTC()}
	c := vcs.Commit{Tree: r.put(vcs.KindTree, tree.Content()), Parents: parents, Author: who, Committer: who, Message: message + "\n"}
	id := r.put(vcs.KindCommit, c.Encode(nil))
	r.set("refs/heads/"+branch, id)
	return id
}

// chain adds n commits, each of which changes one of two files.
func (r *testRepo) chain(t testing.TB, branch string, n int) []vcs.ID {
	t.Helper()
	var ids []vcs.ID
	tip := r.get("refs/heads/" + branch)
	for i := range n {
		var parents []vcs.ID
		if !tip.IsZero() {
			parents = []vcs.ID{tip}
		}
		files := map[string]string{"a": fmt.Sprintf("a\n%s %d\n", branch, i/2), "b": fmt.Sprintf("b\n%s %d\n", branch, i/2+i%2)}
		tip = r.commit(t, branch, fmt.Sprintf("%s %d", branch, i), files, parents...)
		ids = append(ids, tip)
	}
	return ids
}

func (r *testRepo) tag(name string, target vcs.ID, kind vcs.Kind) vcs.ID {
	tag := vcs.Tag{Target: target, Kind: kind, Name: name, Message: "tag " + name + "\n",
		Tagger: vcs.Signature{Name: "node", Email: "node@lan", When: time.Unix(r.clock, 0).UTC()}}
	id := r.put(vcs.KindTag, tag.Encode(nil))
	r.set("refs/tags/"+name, id)
	return id
}

// busyRepo has two merged branches, an annotated tag, a tag of that tag, a
// lightweight tag and a tagged blob.
func busyRepo(t testing.TB) *testRepo {
	t.Helper()
	r := newTestRepo()
	ids := r.chain(t, "primary", 12)
	r.set("refs/heads/side", ids[5])
	side := r.chain(t, "side", 3)
	files := map[string]string{"a": "merged\n", "b": "merged\n"}
	merge := r.commit(t, "primary", "merge side", files, ids[11], side[2])
	r.chain(t, "primary", 4)
	v1 := r.tag("v1", ids[3], vcs.KindCommit)
	r.tag("v1-signed", v1, vcs.KindTag)
	r.set("refs/tags/light", merge)
	r.tag("notes", r.put(vcs.KindBlob, []byte("notes\n")), vcs.KindBlob)
	return r
}

// serve starts a server on loopback and returns the URL of the repository.
func serve(t testing.TB, cfg Config) (*Handler, string) {
	t.Helper()
	h := New(cfg)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return h, s.URL + cfg.Prefix
}

// git runs stock git and returns both outputs and whether it succeeded.
func git(t testing.TB, dir string, args ...string) (string, bool) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = vcstest.GitEnviron()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err == nil
}

// version makes git speak one protocol version.
func version(v int) string { return fmt.Sprintf("protocol.version=%d", v) }

// clone clones with the protocol version and checks the result with fsck.
func clone(t testing.TB, url string, v int, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	vcstest.Git(t, filepath.Dir(dir), slices.Concat([]string{"-c", version(v), "clone", "-q"}, args, []string{url, dir})...)
	fsck(t, dir)
	return dir
}

func fsck(t testing.TB, dir string) {
	t.Helper()
	if out := vcstest.Git(t, dir, "fsck", "--strict", "--full", "--no-dangling"); out != "" && !strings.HasPrefix(out, "notice:") {
		t.Errorf("git fsck --strict: %s", out)
	}
}

// allVersions runs a test under each protocol version.
func allVersions(t *testing.T, f func(t *testing.T, v int)) {
	for v := range 3 {
		t.Run(fmt.Sprintf("v%d", v), func(t *testing.T) { f(t, v) })
	}
}

// fetched returns how many objects the server sent since an earlier Stats.
func fetched(h *Handler, since Stats) int { return int(h.Stats().Objects - since.Objects) }
