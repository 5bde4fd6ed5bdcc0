package gitserve

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

const secret = "correct-horse-battery"

// pushServer serves a new store with three commits on primary, and returns the
// URL with credentials. The rules are those of the token.
func pushServer(t testing.TB, rules string, set ...func(*Config)) (*Handler, *vcs.Store, string) {
	t.Helper()
	r, err := vcs.Open(t.Context(), mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	at := time.Unix(1_700_000_000, 0)
	for i := range 3 {
		info := vcs.CommitInfo{Message: fmt.Sprint("commit ", i), Time: at.Add(time.Duration(i) * time.Minute)}
		if _, err := r.Set(t.Context(), "primary", fmt.Sprintf("dir/key%d", i), strings.Repeat("value\n", i+1), info); err != nil {
			t.Fatal(err)
		}
	}
	tokens, err := ReadTokens(strings.NewReader(secret + " " + rules + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Repository: r.Store(), Push: &PushConfig{Writer: r.Store(), Authorize: tokens.Authorize}}
	for _, f := range set {
		f(&cfg)
	}
	h, url := serve(t, cfg)
	t.Cleanup(func() { sound(t, r.Store()) })
	return h, r.Store(), strings.Replace(url, "http://", "http://git:"+secret+"@", 1)
}

// sound checks everything that the refs lead to, with our own eyes and with
// stock git's.
func sound(t testing.TB, s *vcs.Store) {
	t.Helper()
	refs, _ := s.Refs()
	if rep, err := vcs.Verify(t.Context(), s, refs, nil); t.Context().Err() == nil && (err != nil || !rep.OK()) {
		t.Errorf("store: %v, %v", &rep, err)
	}
	dir, err := os.MkdirTemp("", "sound")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	vcstest.ExportTo(t, dir, s) // runs git fsck --strict
}

// state is what the refs are.
func state(t testing.TB, s *vcs.Store) string {
	t.Helper()
	refs, err := s.Refs()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(refs)
}

// worktree clones and sets an identity.
func worktree(t testing.TB, url string, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "w")
	vcstest.Git(t, filepath.Dir(dir), append(append([]string{"clone", "-q"}, args...), url, dir)...)
	return dir
}

// edit commits a change to a file.
func edit(t testing.TB, dir, file, text string) vcs.ID {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	vcstest.Git(t, dir, "add", file)
	vcstest.Git(t, dir, "commit", "-q", "-m", "edit "+file)
	return head(t, dir, "HEAD")
}

func head(t testing.TB, dir, rev string) vcs.ID {
	t.Helper()
	id, err := vcs.ParseID(vcstest.Git(t, dir, "rev-parse", rev))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func mustPush(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, ok := git(t, dir, append([]string{"push"}, args...)...)
	if !ok {
		t.Fatalf("push %v: %s", args, out)
	}
	return out
}

func wontPush(t testing.TB, dir, why string, args ...string) {
	t.Helper()
	out, ok := git(t, dir, append([]string{"push"}, args...)...)
	if ok || !strings.Contains(out, why) {
		t.Errorf("push %v: want %q in:\n%s", args, why, out)
	}
}

func wantRef(t testing.TB, s *vcs.Store, name string, want vcs.ID) {
	t.Helper()
	if id, _ := s.Ref(name); id != want {
		t.Errorf("%s is at %v, want %v", name, id, want)
	}
}

// pushRequest is the body of a push by hand: commands, then the pack.
func pushRequest(pack []byte, caps string, updates ...vcs.RefUpdate) request {
	var b bytes.Buffer
	w := newPktWriter(&b)
	for i, u := range updates {
		w.linef("%v %v %s", u.Old, u.New, u.Name)
		if i == 0 {
			b.Reset()
			w.linef("%v %v %s\x00%s", u.Old, u.New, u.Name, caps)
		}
	}
	w.flush()
	b.Write(pack)
	return rawPush(b.String())
}

func rawPush(body string) request {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.SetBasicAuth("x", secret)
	return request{"POST", "/git-receive-pack", body, map[string]string{
		"Content-Type": typePushRequest, "Authorization": r.Header.Get("Authorization")}}
}

// emptyPack is a pack of no objects.
func emptyPack() []byte {
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("PACK"), 2), 0)
	sum := sha1.Sum(b)
	return append(b, sum[:]...)
}

// bare is the URL without credentials.
func bare(url string) string { return strings.Replace(url, "git:"+secret+"@", "", 1) }
