package packfile_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

func emptyStore(t testing.TB) *vcs.Store {
	t.Helper()
	s, err := vcs.OpenStore(context.Background(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func importBundle(s *vcs.Store, b []byte) (*packfile.BundleHeader, error) {
	return packfile.ImportBundle(context.Background(), bytes.NewReader(b), s, packfile.Config{})
}

// setRefs creates the refs of a bundle, which fails unless their targets are
// there.
func setRefs(t testing.TB, s *vcs.Store, refs []vcs.Ref) {
	t.Helper()
	var updates []vcs.RefUpdate
	for _, r := range refs {
		if r.Name != "HEAD" {
			old, _ := s.Ref(r.Name)
			updates = append(updates, vcs.RefUpdate{Name: r.Name, Old: old, New: r.Target})
		}
	}
	if err := s.UpdateRefs(t.Context(), updates); err != nil {
		t.Fatal(err)
	}
}

func sameRefs(t testing.TB, a, b *vcs.Store) {
	t.Helper()
	x, _ := a.Refs()
	y, _ := b.Refs()
	if !slices.Equal(x, y) {
		t.Errorf("refs %v, want %v", y, x)
	}
}

// A slice of history goes from store to store: all of it, then what is new.
func TestImportOwnBundles(t *testing.T) {
	from, all := history(t, 5, 120)
	refs, err := from.Refs()
	if err != nil {
		t.Fatal(err)
	}
	mid := all[len(all)/2]
	var first, second bytes.Buffer
	if err := packfile.WriteBundle(t.Context(), &first, from, []vcs.Ref{{Name: "refs/heads/mid", Target: mid}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := packfile.WriteBundle(t.Context(), &second, from, refs, []vcs.ID{mid}); err != nil {
		t.Fatal(err)
	}
	to := emptyStore(t)
	if _, err := importBundle(to, second.Bytes()); !errors.Is(err, packfile.ErrMissing) {
		t.Errorf("the second bundle alone: %v", err)
	}
	h, err := importBundle(to, first.Bytes())
	if err != nil || len(h.Refs) != 1 || h.Refs[0].Target != mid || len(h.Prerequisites) != 0 {
		t.Fatalf("%+v, %v", h, err)
	}
	if refs, _ := to.Refs(); len(refs) != 0 {
		t.Errorf("the import made refs: %v", refs)
	}
	if h, err = importBundle(to, second.Bytes()); err != nil || !slices.Equal(h.Prerequisites, []vcs.ID{mid}) {
		t.Fatalf("%+v, %v", h, err)
	}
	if _, err = importBundle(to, second.Bytes()); err != nil {
		t.Errorf("the same bundle again: %v", err)
	}
	setRefs(t, to, h.Refs)
	sameRefs(t, from, to)
	vcstest.ExportTo(t, t.TempDir(), to)
}

// Bundles that stock git wrote, in both versions, with tags.
func TestImportStockBundles(t *testing.T) {
	from, _ := history(t, 8, 80)
	dir := t.TempDir()
	vcstest.ExportTo(t, dir, from)
	refs, _ := from.Refs()
	vcstest.Git(t, dir, "tag", "-a", "-m", "a tag", "v1", refs[0].Target.String())
	for _, args := range [][]string{{"--version=2", "--all"}, {"--version=3", "--all"}, {"--branches"}} {
		file := filepath.Join(t.TempDir(), "bundle")
		if version := args[0]; strings.HasPrefix(version, "--version") {
			vcstest.Git(t, dir, "bundle", "create", "-q", version, file, args[1])
		} else {
			vcstest.Git(t, dir, "bundle", "create", "-q", file, args[0])
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		to := emptyStore(t)
		h, err := importBundle(to, b)
		if err != nil {
			t.Errorf("%v: %v", args, err)
			continue
		}
		setRefs(t, to, h.Refs)
		for _, r := range refs {
			if id, _ := to.Ref(r.Name); id != r.Target {
				t.Errorf("%v: %s is %v, want %v", args, r.Name, id, r.Target)
			}
		}
		if _, ok := to.Ref("refs/tags/v1"); ok != slices.Contains(args, "--all") {
			t.Errorf("%v: the tag is there: %v", args, ok)
		}
		vcstest.ExportTo(t, t.TempDir(), to)
	}
}

// untouched fails the test when a store is written to.
type untouched struct {
	*vcs.Store
	t *testing.T
}

func (u untouched) AddObjects(context.Context, []vcs.Object) error {
	u.t.Error("objects of a bad bundle are added")
	return nil
}

// Whatever is wrong with a bundle, nothing of it is added.
func TestBadBundles(t *testing.T) {
	from, all := history(t, 2, 30)
	var good bytes.Buffer
	refs, _ := from.Refs()
	if err := packfile.WriteBundle(t.Context(), &good, from, refs, nil); err != nil {
		t.Fatal(err)
	}
	to := untouched{emptyStore(t), t}
	refuse := func(name string, b []byte, want error) {
		t.Helper()
		_, err := packfile.ImportBundle(t.Context(), bytes.NewReader(b), to, packfile.Config{})
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	b := good.Bytes()
	for n := range len(b) {
		if n < 4000 || n%31 == 0 || n > len(b)-30 {
			refuse(fmt.Sprintf("cut at %d", n), b[:n], nil)
		}
	}
	for n := range len(b) {
		if n%17 == 0 && n > bytes.Index(b, []byte("\n\n")) {
			c := bytes.Clone(b)
			c[n] ^= 0x10
			refuse(fmt.Sprintf("flipped at %d", n), c, nil)
		}
	}
	head := "# v2 git bundle\n"
	id := all[0].String()
	for name, text := range map[string]string{
		"nothing":             "",
		"a pack":              string(b[bytes.Index(b, []byte("PACK")):]),
		"version 4":           "# v4 git bundle\n\n",
		"a filter":            "# v3 git bundle\n@filter=blob:none\n" + id + " refs/heads/a\n\n",
		"sha256":              "# v3 git bundle\n@object-format=sha256\n\n",
		"capability in v2":    head + "@object-format=sha1\n\n",
		"short id":            head + id[:39] + " refs/heads/a\n\n",
		"null id":             head + strings.Repeat("0", 40) + " refs/heads/a\n\n",
		"no name":             head + id + "\n\n",
		"bad name":            head + id + " refs/heads/a..b\n\n",
		"name out of refs":    head + id + " config\n\n",
		"bad prerequisite":    head + "-xyz\n\n",
		"long line":           head + id + " refs/heads/" + strings.Repeat("a", 5000) + "\n\n",
		"header without end":  head + id + " refs/heads/a\n",
		"prerequisite is cut": head + "-" + id,
	} {
		refuse(name, []byte(text), packfile.ErrBundle)
	}
	packOnly := b[bytes.Index(b, []byte("PACK")):]
	lost := strings.Repeat("1", 40)
	refuse("a ref of nothing", append([]byte(head+lost+" refs/heads/a\n\n"), packOnly...), packfile.ErrMissing)
	refuse("no prerequisite", append([]byte(head+"-"+lost+" subject\n"+id+" refs/heads/a\n\n"), packOnly...), packfile.ErrMissing)
}

func FuzzReadBundleHeader(f *testing.F) {
	f.Add([]byte("# v2 git bundle\n-83bd9b7115dc0c033122ea86b5663784cbeea5b2 subject\n83bd9b7115dc0c033122ea86b5663784cbeea5b2 refs/heads/primary\n\nPACK"))
	f.Add([]byte("# v3 git bundle\n@object-format=sha1\n83bd9b7115dc0c033122ea86b5663784cbeea5b2 HEAD\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := packfile.ReadBundleHeader(bufio.NewReaderSize(bytes.NewReader(b), 16))
		if err != nil {
			if h != nil || !errors.Is(err, packfile.ErrBundle) {
				t.Errorf("%+v, %v", h, err)
			}
			return
		}
		for _, r := range h.Refs {
			if r.Target.IsZero() || r.Name != "HEAD" && vcs.CheckRefName(r.Name) != nil {
				t.Errorf("%+v", r)
			}
		}
	})
}
