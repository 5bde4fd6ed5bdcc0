package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// size returns the bytes of a directory's files.
func size(t testing.TB, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var fi fs.FileInfo
			if fi, err = e.Info(); err == nil {
				n += fi.Size()
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The oldest archives go to make room, whole; Missing tells of them, and stock git
// finds the rest in order after each step.
func TestBudget(t *testing.T) {
	for _, format := range []Format{Pack, Bundle} {
		t.Run(format.String(), func(t *testing.T) {
			p := newPast(t)
			for seed := range uint64(5) {
				p.live(seed, 30)
			}
			probe := openDir(t, t.TempDir(), Config{Format: format})
			p.archive(probe, p.epochs[4])
			budget := size(t, probe.path) * 5 / 2
			d := openDir(t, t.TempDir(), Config{Format: format, MaxBytes: budget})
			for _, e := range p.epochs {
				p.archive(d, e)
				if n := size(t, d.path); n > budget || n != d.files.used {
					t.Errorf("epoch %d: %d bytes (counted %d), at most %d", e.Number, n, d.files.used, budget)
				}
				if format == Pack {
					fsck(t, d.path)
				}
			}
			missing, err := d.Missing(t.Context(), p.epochs)
			list, lerr := d.List()
			if err != nil || lerr != nil || len(missing) < 2 || len(missing)+len(list) != 5 || missing[0] != 1 || list[len(list)-1].Epoch != 5 {
				t.Fatalf("missing %v, %d are there, %v %v", missing, len(list), err, lerr)
			}
			if _, err := d.OpenEpoch(t.Context(), p.epochs[0]); !errors.Is(err, vcs.ErrNotFound) {
				t.Errorf("the first epoch: %v", err)
			}
			// What is too large alone is refused, and the others stay.
			d.cfg.MaxBytes = list[0].Bytes / 2
			if _, err := d.Archive(t.Context(), p.live(9, 30), p.source(p.epochs[5])); !errors.Is(err, vcs.ErrArchiveFull) {
				t.Errorf("an epoch larger than the bound: %v", err)
			}
			if now, err := d.List(); err != nil || len(now) != len(list) {
				t.Errorf("%d archives are left of %d, %v", len(now), len(list), err)
			}
			// Without an archive to tell how large it would be, it is tried.
			small := openDir(t, t.TempDir(), Config{Format: format, MaxBytes: list[0].Bytes / 2})
			if _, err := small.Archive(t.Context(), p.epochs[0], p.source(p.epochs[0])); !errors.Is(err, vcs.ErrArchiveFull) {
				t.Errorf("an epoch larger than the bound: %v", err)
			}
			if n := size(t, small.path); n > 1000 {
				t.Errorf("%d bytes are left of it", n)
			}
		})
	}
}

// TestMinFree keeps space for others by the file system's own count.
func TestMinFree(t *testing.T) {
	p := newPast(t)
	e := p.live(1, 20)
	dir := t.TempDir()
	left, err := free(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := openDir(t, dir, Config{MinFree: left * 2})
	if _, err := d.Archive(t.Context(), e, p.source(e)); !errors.Is(err, vcs.ErrArchiveFull) {
		t.Errorf("%v, want %v", err, vcs.ErrArchiveFull)
	}
	d.cfg.MinFree = 1
	p.archive(d, e)
}

// A flipped bit, or a missing end, in any file of an epoch: Verify reports it, and
// what is read is right or an error.
func TestDamage(t *testing.T) {
	for _, format := range []Format{Pack, Bundle} {
		t.Run(format.String(), func(t *testing.T) {
			p := newPast(t)
			d := openDir(t, t.TempDir(), Config{Format: format})
			p.archive(d, p.live(1, 30))
			var files []string
			for _, pattern := range []string{"epoch-*", packDir + "/*.pack", packDir + "/*.idx", graphDir + "/*"} {
				found, err := filepath.Glob(d.at(pattern))
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, found...)
			}
			if want := map[Format]int{Pack: 5, Bundle: 3}[format]; len(files) != want {
				t.Fatalf("%d files: %v", len(files), files)
			}
			rnd := rand.New(rand.NewPCG(1, 1))
			for i := range 120 {
				path := files[i%len(files)]
				whole, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				broken := bytes.Clone(whole)
				at := rnd.IntN(len(broken))
				if broken[at] ^= 1 << rnd.IntN(8); rnd.IntN(4) == 0 {
					broken = broken[:at]
				}
				replace := func(b []byte) {
					if err := errors.Join(os.Remove(path), os.WriteFile(path, b, 0o444)); err != nil {
						t.Fatal(err)
					}
				}
				replace(broken)
				if _, err := d.Verify(t.Context(), 1); !errors.Is(err, ErrDamaged) {
					t.Errorf("%s changed at %d: %v", filepath.Base(path), at, err)
				}
				if r, err := d.Epoch(t.Context(), 1); err == nil {
					for _, id := range p.acked[0] {
						kind, content, err := r.ReadObject(id)
						if err == nil && vcs.HashObject(kind, content) != id {
							t.Errorf("%s changed at %d: %v is read as another object", filepath.Base(path), at, id)
						}
					}
					r.Close()
				}
				replace(whole)
			}
			if _, err := d.Verify(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	}
}

// Stock git clones and fetches from bundles, and joins them by grafts.
func TestBundles(t *testing.T) {
	p := newPast(t)
	d := openDir(t, filepath.Join(t.TempDir(), "a"), Config{Format: Bundle})
	clone := filepath.Join(t.TempDir(), "c")
	for seed := range uint64(3) {
		r := p.archive(d, p.live(seed, 40))
		if seed == 0 {
			vcstest.Git(t, d.path, "clone", "-q", d.at(r.Name), clone)
		}
		vcstest.Git(t, clone, "fetch", "-q", d.at(r.Name), "refs/epochs*:refs/epochs*")
		if _, err := d.Verify(t.Context(), int(seed)+1); err != nil {
			t.Error(err)
		}
	}
	git := func(args ...string) string { return vcstest.Git(t, clone, args...) }
	for i, e := range p.epochs {
		if got, want := sorted(git("rev-list", vcs.EpochRef(i+1), fmt.Sprintf("--glob=refs/epochs-heads/%d", i+1))), p.commits(i+1); got != want {
			t.Errorf("epoch %d: %d bytes of commits, want %d", i+1, len(got), len(want))
		}
		for _, r := range e.Roots {
			git("replace", "--graft", r.Root.String(), r.Old.String())
			if got := git("rev-parse", "refs/replace/"+r.Root.String()); got != r.Replacement.String() {
				t.Errorf("git replaces %v by %s, we by %v", r.Root, got, r.Replacement)
			}
		}
	}
	if got, want := sorted(git("rev-list", "refs/epochs/3")), p.reached(ref(p.epochs[2], "refs/heads/b0")); got != want {
		t.Errorf("joined history: %d bytes, want %d", len(got), len(want))
	}
	for line := range slices.Values([]string{git("fsck", "--strict", "--full")}) {
		if line != "" {
			t.Errorf("git fsck: %s", line)
		}
	}
}

// An epoch fits while it takes no other one's place.
func TestFits(t *testing.T) {
	p := newPast(t)
	for seed := range uint64(4) {
		p.live(seed, 30)
	}
	probe := openDir(t, t.TempDir(), Config{})
	for _, e := range p.epochs[:3] {
		p.archive(probe, e)
	}
	d := openDir(t, t.TempDir(), Config{MaxBytes: size(t, probe.path) * 11 / 10})
	fits := func(e vcs.Epoch) bool {
		t.Helper()
		yes, err := d.Fits(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	for i, e := range p.epochs[:3] {
		if i == 1 && !fits(e) {
			t.Errorf("there is room for epoch %d, and it does not fit", e.Number)
		}
		p.archive(d, e)
	}
	if fits(p.epochs[3]) {
		t.Error("a fourth epoch fits where there is room for three")
	}
	if list, err := d.List(); err != nil || len(list) != 3 {
		t.Errorf("%d archives, %v", len(list), err)
	}
	left, err := free(d.path)
	if err != nil {
		t.Fatal(err)
	}
	d.cfg = Config{MinFree: left * 2}
	if fits(p.epochs[3]) {
		t.Error("an epoch fits on a disk that has too little room")
	}
	if d.cfg.MinFree = 0; !fits(p.epochs[3]) {
		t.Error("an epoch does not fit where nothing is bounded")
	}
}
