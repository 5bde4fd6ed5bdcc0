package badger_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/vcstest"
)

// writerEnv makes the test binary a process that writes to a directory until it
// is killed, and prints each head that is durable.
const writerEnv = "ARPEGGIO_TEST_BADGER_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		if err := writeForever(dir); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func openRepo(ctx context.Context, dir string) (*vcs.Repo[string, string], *badger.Backend, error) {
	b, err := badger.Open(ctx, dir, badger.Config{})
	if err != nil {
		return nil, nil, err
	}
	r, err := vcs.Open(ctx, b, vcs.Config[string, string]{Merge: vcstest.Larger})
	return r, b, err
}

func writeForever(dir string) error {
	ctx := context.Background()
	r, _, err := openRepo(ctx, dir)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		head, err := r.Update(ctx, "primary", vcs.TxOptions{}, func(tx *vcs.Tx[string, string]) error {
			tx.Info().Message = fmt.Sprint("write ", i)
			tx.Set(vcstest.Key(i%97), fmt.Sprintf("%d %s", i, strings.Repeat("x", i%2000)))
			return nil
		})
		if err != nil {
			return err
		}
		if i%7 == 0 {
			if err := r.Sync(ctx); err != nil {
				return err
			}
			fmt.Println(head)
		}
	}
}

// TestKill kills a writing process at random moments. What was acknowledged is
// there afterwards, and everything that refs lead to is whole.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, 1))
	var acked vcs.ID
	for round := range 6 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Kill after some acknowledgements, in the middle of the next writes.
		lines := bufio.NewScanner(out)
		for n := 1 + rnd.IntN(40); n > 0 && lines.Scan(); n-- {
			if acked, err = vcs.ParseID(lines.Text()); err != nil {
				t.Fatalf("the writer says %q", lines.Text())
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // acknowledged before it died
			if id, err := vcs.ParseID(lines.Text()); err == nil {
				acked = id
			}
		}
		_ = cmd.Wait() // it was killed
		r, b, err := openRepo(t.Context(), dir)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		rep := b.Report()
		head := checkWhole(t, r)
		if has, err := r.Store().IsAncestor(acked, head); !has || err != nil {
			t.Errorf("round %d: acknowledged %v is not part of %v (%v)", round, acked, head, err)
		}
		t.Logf("round %d: %v", round, rep.String())
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkWhole verifies everything reachable, all trees of the history included,
// and returns the head.
func checkWhole(t testing.TB, r *vcs.Repo[string, string]) vcs.ID {
	t.Helper()
	refs, _ := r.Store().Refs()
	rep, err := vcs.Verify(context.Background(), r.Store(), refs, nil)
	if err != nil || !rep.OK() {
		t.Fatalf("%v, %v", rep.String(), err)
	}
	head, err := r.Head("primary")
	if err != nil {
		return vcs.ID{}
	}
	vcstest.ExportTo(t, t.TempDir(), r.Store())
	return head
}

// TestTorn copies the directory of a live store, damages the newest log and
// opens the copy: the head must be one that the store had, and whole.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	r, _, err := openRepo(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	heads := map[vcs.ID]int{{}: 0} // a store cut before its first commit has none
	for i := range 120 {
		head := must(r.Set(t.Context(), "primary", vcstest.Key(i%50), fmt.Sprint(i), vcs.CommitInfo{Message: fmt.Sprint(i)}))(t)
		heads[head] = i + 1
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wals, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil || len(wals) == 0 {
		t.Fatalf("no write-ahead log: %v %v", wals, err)
	}
	wal := filepath.Base(wals[len(wals)-1])
	data, err := os.ReadFile(filepath.Join(dir, wal))
	if err != nil {
		t.Fatal(err)
	}
	used := len(data)
	for used > 0 && data[used-1] == 0 {
		used--
	}
	rnd := rand.New(rand.NewPCG(2, 2))
	kept := make(map[int]bool)
	for i := range 45 {
		torn := append([]byte(nil), data...)
		at := used * i / 45
		switch i % 3 {
		case 0: // cut off
			torn = torn[:at]
		case 1: // the pages behind were not written
			clear(torn[at:])
		case 2: // one was written badly
			for range 8 {
				torn[at+rnd.IntN(min(512, used-at))] ^= byte(1 + rnd.IntN(255))
			}
		}
		image := t.TempDir()
		copyDir(t, dir, image)
		if err := os.WriteFile(filepath.Join(image, wal), torn, 0o600); err != nil {
			t.Fatal(err)
		}
		copied, b, err := openRepo(t.Context(), image)
		if err != nil {
			if i%3 == 2 {
				t.Logf("image %d, damaged at %d of %d: refused: %v", i, at, used, err)
				continue
			}
			t.Fatalf("image %d, cut at %d of %d: %v", i, at, used, err)
		}
		rep := b.Report()
		if !rep.OK() {
			t.Fatalf("image %d, damaged at %d of %d: %v", i, at, used, rep.String())
		}
		head, _ := copied.Head("primary")
		n, ok := heads[head]
		if !ok {
			t.Fatalf("image %d: head %v never was one", i, head)
		}
		kept[n] = true
		must(copied.Set(t.Context(), "primary", "after", "the crash", vcs.CommitInfo{Message: "after"}))(t)
		if err := copied.Close(); err != nil {
			t.Fatalf("image %d: %v", i, err)
		}
	}
	if len(kept) < 10 {
		t.Errorf("only %d different prefixes: the damage was not where it matters", len(kept))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func copyDir(t testing.TB, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		in, err := os.Open(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(filepath.Join(to, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, in); err != nil {
			t.Fatal(err)
		}
		in.Close()
		out.Close()
	}
}
