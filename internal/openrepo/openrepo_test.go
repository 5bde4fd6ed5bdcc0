package openrepo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/mem"
)

// store returns a repository with one commit.
func store(t *testing.T, b vcs.Backend) *vcs.Repo[string, []byte] {
	t.Helper()
	repo, err := vcs.Open(t.Context(), b, vcs.Config[string, []byte]{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { repo.Close() })
	add(t, repo, "first")
	return repo
}

func add(t *testing.T, repo *vcs.Repo[string, []byte], subject string) vcs.ID {
	t.Helper()
	id, err := repo.Set(t.Context(), "primary", "file", []byte(subject+"\n"), vcs.CommitInfo{Message: subject, Time: time.Unix(1767355200, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// bare writes what a repository holds as a bare Git directory.
func bare(t *testing.T, repo *vcs.Repo[string, []byte]) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bare.git")
	if _, err := gitremote.WriteSnapshot(dir, repo.Store()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func head(t *testing.T, r *Repo) string {
	t.Helper()
	id, err := r.Store.Resolve("HEAD")
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Store.ReadCommit(id)
	if err != nil {
		t.Fatal(err)
	}
	return c.Subject()
}

func mustOpen(t *testing.T, location string, opt Options) *Repo {
	t.Helper()
	r, err := Open(t.Context(), location, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestDirectories(t *testing.T) {
	dir := bare(t, store(t, mem.New()))
	r := mustOpen(t, dir, Options{})
	if r.Kind != Bare || r.Writable() != nil || head(t, r) != "first" {
		t.Errorf("%+v", r)
	}
	// What another process adds shows up.
	other := mustOpen(t, dir, Options{})
	repo, err := vcs.New(other.Store, vcs.Config[string, []byte]{})
	if err != nil {
		t.Fatal(err)
	}
	id := add(t, repo, "second")
	if err := repo.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	refs, err := r.Current(t.Context())
	if err != nil || len(refs) != 1 || refs[0].Target != id {
		t.Errorf("%v, %v", refs, err)
	}
	if _, err := r.Store.ReadCommit(id); err != nil {
		t.Error(err)
	}
}

func TestBadgerStores(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	open := func() vcs.Backend {
		b, err := badger.Open(t.Context(), dir, badger.Config{MinFree: -1})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	opt := Options{CacheDir: t.TempDir()}
	repo := store(t, open())
	if _, err := Open(t.Context(), dir, opt); !errors.Is(err, badger.ErrLocked) {
		t.Errorf("a store in use: %v", err)
	}
	if err := repo.Close(); err != nil {
		t.Fatal(err)
	}
	r := mustOpen(t, dir, Options{})
	if r.Kind != Badger || r.Writable() != nil || head(t, r) != "first" || len(r.Problems()) > 0 {
		t.Errorf("%+v", r)
	}
	if refs, err := r.Current(t.Context()); err != nil || len(refs) != 1 {
		t.Errorf("%v, %v", refs, err)
	}
}

// A store that another program has open is read through that program, and is
// its own to write.
func TestStoresInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	b, err := badger.Open(t.Context(), dir, badger.Config{MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	repo := store(t, b)
	stop, err := ServeLive(dir, repo.Store())
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{CacheDir: t.TempDir()}
	r := mustOpen(t, dir, opt)
	if err := r.Writable(); r.Kind != Live || head(t, r) != "first" || !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "another program has it open") {
		t.Errorf("%+v: %v", r, err)
	}
	id := add(t, repo, "second")
	if refs, err := r.Current(t.Context()); err != nil || refs[0].Target != id {
		t.Errorf("%v, %v", refs, err)
	}
	if got := head(t, mustOpen(t, dir, opt)); got != "second" {
		t.Errorf("opened again it is %s", got)
	}
	write := opt
	write.Write = true
	if _, err := Open(t.Context(), dir, write); !errors.Is(err, badger.ErrLocked) {
		t.Errorf("to write: %v", err)
	}

	// When the program has ended, be it by a kill, the store is opened; and
	// whoever has opened it serves it again.
	stop()
	if _, err := r.Current(t.Context()); !errors.Is(err, gitremote.ErrUnreachable) {
		t.Errorf("of a program that has ended: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, liveName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(3 * liveLook)
		repo.Close()
	}()
	first, err := Open(t.Context(), dir, opt)
	for end := time.Now().Add(time.Minute); errors.Is(err, badger.ErrLocked) && time.Now().Before(end); {
		first, err = Open(t.Context(), dir, opt) // the program takes longer to end than liveWait
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { first.Close() })
	second := mustOpen(t, dir, opt)
	if first.Kind != Badger || second.Kind != Live || head(t, first) != "second" || head(t, second) != "second" {
		t.Errorf("%+v, then %+v", first, second)
	}
}

// What is written into a mirror goes to where it is of, by compare-and-swap, and
// stays nowhere when that has gone on.
func TestDeliver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	b, err := badger.Open(t.Context(), dir, badger.Config{MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	repo := store(t, b)
	stop, err := ServeLive(dir, repo.Store())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	if info, err := os.Stat(filepath.Join(dir, liveName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
	srv := httptest.NewServer(gitserve.New(gitserve.Config{Repository: repo.Store(), Prefix: "/arp.git", Push: &gitserve.PushConfig{
		Writer: repo.Store(),
		Authorize: func(r *http.Request) (gitserve.Grant, error) {
			if _, password, _ := r.BasicAuth(); password != "secret" {
				return gitserve.Grant{}, gitserve.ErrUnauthorized
			}
			return gitserve.Grant{Name: "a", Allow: func(gitserve.Update) error { return nil }}, nil
		},
	}}))
	t.Cleanup(srv.Close)
	opt := Options{CacheDir: t.TempDir(), Write: true, Deliver: true}
	for n, location := range []string{dir, srv.URL + "/arp.git", strings.Replace(srv.URL, "//", "//a:secret@", 1) + "/arp.git"} {
		r := mustOpen(t, location, opt)
		if err := r.Writable(); err != nil {
			t.Fatal(err)
		}
		there, err := vcs.New(r.Store, vcs.Config[string, []byte]{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Deliver(t.Context()); err != nil {
			t.Errorf("nothing to send: %v", err)
		}
		id := add(t, there, fmt.Sprint("there ", n))
		if err := there.CreateBranch(t.Context(), "new", id); err != nil {
			t.Fatal(err)
		}
		err = r.Deliver(t.Context())
		if n == 1 {
			if !errors.Is(err, gitremote.ErrPermission) || errors.Is(err, ErrMoved) || head(t, r) != "first 0" {
				t.Errorf("without the password: %v, and it is at %s", err, head(t, r))
			}
			continue
		}
		if now, _ := repo.Head("primary"); err != nil || now != id {
			t.Errorf("%s is at %v, want %v: %v", location, now, id, err)
		}
		if now, _ := repo.Head("new"); now != id {
			t.Errorf("its branch new is at %v", now)
		}
		if err := there.DeleteBranch(t.Context(), "new", id); err != nil {
			t.Fatal(err)
		}
		late := add(t, there, "late")
		first := add(t, repo, fmt.Sprint("first ", n))
		if err := r.Deliver(t.Context()); !errors.Is(err, ErrMoved) {
			t.Errorf("what has moved: %v", err)
		}
		now, _ := repo.Head("primary")
		if branch, _ := repo.Head("new"); now != first || branch != id {
			t.Errorf("%s is at %v and %v, want %v: all or nothing", location, now, branch, first)
		}
		if at, _ := there.Head("primary"); at != id {
			t.Errorf("the mirror is at %v after %v, want %v", at, late, id)
		}
		if err := repo.DeleteBranch(t.Context(), "new", id); err != nil {
			t.Fatal(err)
		}
	}
	opt.Offline = true
	if _, err := Open(t.Context(), srv.URL+"/arp.git", opt); !errors.Is(err, ErrReadOnly) {
		t.Errorf("offline: %v", err)
	}
}

func TestURLs(t *testing.T) {
	repo := store(t, mem.New())
	srv := httptest.NewServer(gitserve.New(gitserve.Config{Repository: repo.Store(), Prefix: "/arp.git"}))
	defer srv.Close()
	opt := Options{CacheDir: t.TempDir()}
	url := srv.URL + "/arp.git"
	offline := opt
	offline.Offline = true
	if _, err := Open(t.Context(), url, offline); !errors.Is(err, ErrNoMirror) {
		t.Errorf("offline, before: %v", err)
	}
	r := mustOpen(t, url, opt)
	if r.Kind != URL || head(t, r) != "first" {
		t.Errorf("%+v", r)
	}
	if err := r.Writable(); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "arpeggio snapshot --repo") {
		t.Errorf("a mirror: %v", err)
	}
	// The mirror follows, incrementally.
	id := add(t, repo, "second")
	refs, err := r.Current(t.Context())
	if err != nil || refs[0].Target != id {
		t.Errorf("%v, %v", refs, err)
	}
	if _, err := r.Store.ReadCommit(id); err != nil {
		t.Error(err)
	}
	add(t, repo, "third")
	if got := head(t, mustOpen(t, url, offline)); got != "second" {
		t.Errorf("offline it is %s", got)
	}
	if got := head(t, mustOpen(t, url, opt)); got != "third" {
		t.Errorf("online it is %s", got)
	}
	srv.Close()
	if _, err := Open(t.Context(), url, opt); !errors.Is(err, gitremote.ErrUnreachable) || !strings.Contains(err.Error(), "--offline") {
		t.Errorf("a server that is gone: %v", err)
	}
	if got := head(t, mustOpen(t, url, offline)); got != "third" {
		t.Errorf("offline it is %s", got)
	}
	if info, err := os.Stat(filepath.Join(opt.CacheDir, "mirrors")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the mirrors are open to others: %v, %v", info.Mode(), err)
	}
}

func TestFileURLs(t *testing.T) {
	r := mustOpen(t, "file://"+bare(t, store(t, mem.New())), Options{CacheDir: t.TempDir()})
	if r.Kind != URL || head(t, r) != "first" {
		t.Errorf("%+v", r)
	}
}

// A disk is exported when it has changed, and only then.
func TestDisks(t *testing.T) {
	repo := store(t, mem.New())
	disk := filepath.Join(t.TempDir(), "data.img")
	write := func(text string, at int64) {
		if err := os.WriteFile(disk, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(disk, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	write("v1", 1000)
	exports := 0
	opt := Options{CacheDir: t.TempDir(), Export: func(_ context.Context, path, dir string) error {
		if path != disk {
			return fmt.Errorf("asked to export %s", path)
		}
		exports++
		_, err := gitremote.WriteSnapshot(dir, repo.Store())
		return err
	}}
	offline := opt
	offline.Offline = true
	if _, err := Open(t.Context(), disk, offline); !errors.Is(err, ErrNoMirror) {
		t.Errorf("offline, before: %v", err)
	}
	writing := opt
	writing.Write = true
	if _, err := Open(t.Context(), disk, writing); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), disk+" --out") || exports > 0 {
		t.Errorf("to write: %v, after %d exports", err, exports)
	}
	for range 2 {
		r := mustOpen(t, disk, opt)
		if r.Kind != Disk || head(t, r) != "first" || exports != 1 {
			t.Fatalf("%d exports, %+v", exports, r)
		}
		if err := r.Writable(); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "arpeggio snapshot --disk") {
			t.Errorf("a disk: %v", err)
		}
	}
	add(t, repo, "second")
	write("v2", 2000)
	if got := head(t, mustOpen(t, disk, offline)); got != "first" || exports != 1 {
		t.Errorf("offline it is %s after %d exports", got, exports)
	}
	if got := head(t, mustOpen(t, disk, opt)); got != "second" || exports != 2 {
		t.Errorf("it is %s after %d exports", got, exports)
	}
	// An export that fails leaves the older copy.
	write("v3", 3000)
	bad := opt
	bad.Export = func(context.Context, string, string) error { return errors.New("no guest") }
	if _, err := Open(t.Context(), disk, bad); err == nil || err.Error() != "no guest" {
		t.Error(err)
	}
	if got := head(t, mustOpen(t, disk, offline)); got != "second" {
		t.Errorf("offline it is %s", got)
	}
	left, err := filepath.Glob(filepath.Join(opt.CacheDir, "mirrors", "export-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
	if _, err := Open(t.Context(), disk, Options{CacheDir: t.TempDir()}); !errors.Is(err, ErrNoRepository) {
		t.Errorf("without a way to export: %v", err)
	}
}

func TestWhatIsNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{dir, t.TempDir(), filepath.Join(dir, "missing"), os.DevNull} {
		_, err := Open(t.Context(), place, Options{CacheDir: t.TempDir()})
		if !errors.Is(err, ErrNoRepository) || !strings.Contains(err.Error(), place) {
			t.Errorf("%s: %v", place, err)
		}
	}
	if _, err := Open(t.Context(), "ftp://127.0.0.1/x", Options{CacheDir: t.TempDir()}); !errors.Is(err, gitremote.ErrBadURL) {
		t.Errorf("a foreign scheme: %v", err)
	}
}

func TestWorkTrees(t *testing.T) {
	dir := bare(t, store(t, mem.New()))
	tree := t.TempDir()
	if err := os.Rename(dir, filepath.Join(tree, ".git")); err != nil {
		t.Fatal(err)
	}
	config := "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
	if err := os.WriteFile(filepath.Join(tree, ".git", "config"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{tree, filepath.Join(tree, ".git")} {
		r := mustOpen(t, place, Options{})
		if err := r.Writable(); r.Kind != WorkTree || !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "git clone --bare") {
			t.Errorf("%s: %v", place, err)
		}
		if head(t, r) != "first" {
			t.Errorf("%s: HEAD is %s", place, head(t, r))
		}
	}
}

func TestNamesOfMirrors(t *testing.T) {
	a, b := slug("http://127.0.0.1:8081/arp.git"), slug("http://127.0.0.1:8081/arp_git")
	if a == b || strings.ContainsAny(a, "/:") || !strings.Contains(a, "127.0.0.1_8081") {
		t.Errorf("%s and %s", a, b)
	}
	if got := withoutSecret("https://me:secret@example.org/x.git"); got != "https://me@example.org/x.git" {
		t.Error(got)
	}
	if got := withoutSecret("git@example.org:x.git"); got != "git@example.org:x.git" {
		t.Error(got)
	}
}

// A store with a damaged file says so when it is opened, and goes on saying so
// until the folder that keeps the file is deleted.
func TestDamagedStores(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	b, err := badger.Open(t.Context(), dir, badger.Config{MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := store(t, b).Close(); err != nil {
		t.Fatal(err)
	}
	tables, _ := filepath.Glob(filepath.Join(dir, "*.sst"))
	if len(tables) == 0 {
		t.Fatal("no table")
	}
	data, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 0x40
	if err := os.WriteFile(tables[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	problems := func() (paths []string) {
		r, err := Open(t.Context(), dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if head(t, r) != "first" {
			t.Errorf("its head is %s", head(t, r))
		}
		for _, p := range r.Problems() {
			paths = append(paths, p.Path)
		}
		return paths
	}
	if got := problems(); !slices.Equal(got, []string{filepath.Base(tables[0]), "damaged-1"}) {
		t.Errorf("at first %q", got)
	}
	if got := problems(); !slices.Equal(got, []string{"damaged-1"}) {
		t.Errorf("then %q", got)
	}
	if err := os.RemoveAll(filepath.Join(dir, "damaged-1")); err != nil {
		t.Fatal(err)
	}
	if got := problems(); got != nil {
		t.Errorf("at last %q", got)
	}
}
