package badger_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arpeggio/internal/testproc"
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
	if dir := os.Getenv(fullEnv); dir != "" {
		if err := fillDisk(dir); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
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
		if err := testproc.Start(cmd); err != nil {
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

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newestLog returns the name and the content of the newest write-ahead log,
// which ends in 4096 zeros.
func newestLog(t testing.TB, dir string) (name string, data []byte) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no write-ahead log: %v %v", logs, err)
	}
	path := logs[len(logs)-1]
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return filepath.Base(path), append(bytes.TrimRight(data, "\x00"), make([]byte, 4096)...)
}

// TestTornLargeBatch: a batch that takes several transactions is there as a
// whole or not at all, wherever the log is cut.
func TestTornLargeBatch(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	blob := func(s string) vcs.Object {
		return vcs.Object{ID: vcs.HashObject(vcs.KindBlob, []byte(s)), Kind: vcs.KindBlob, Content: []byte(s)}
	}
	large := func(old vcs.ID, round byte) (*vcs.Batch, vcs.ID) {
		batch := &vcs.Batch{Checkpoint: bytes.Repeat([]byte{round}, 300_000)}
		var objs []vcs.Object
		for i := range 12 {
			objs = append(objs, blob(fmt.Sprint(round, i)+strings.Repeat("x", 100_000)))
			batch.Log = append(batch.Log, bytes.Repeat([]byte{round, byte(i)}, vcs.MaxRecord/2))
		}
		batch.Objects = slices.Values(objs)
		batch.Refs = []vcs.RefUpdate{{Name: "refs/tags/last", Old: old, New: objs[11].ID}}
		return batch, objs[11].ID
	}
	load := func(b *badger.Backend) string {
		st, err := b.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		fmt.Fprintf(h, "%v %x", st.Refs, st.Checkpoint)
		for rec, err := range st.Log {
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(h, " %x", rec)
		}
		return fmt.Sprintf("%x", h.Sum(nil))
	}
	first, id := large(vcs.ID{}, 1)
	second, _ := large(id, 2)
	states := map[string]string{load(b): "empty"}
	for i, batch := range []*vcs.Batch{first, second} {
		if err := b.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		states[load(b)] = fmt.Sprint("batch ", i+1)
	}
	wal, data := newestLog(t, dir)
	seen := make(map[string]int)
	const images = 30
	for i := range images + 1 {
		image := t.TempDir()
		copyDir(t, dir, image, wal)
		if err := os.WriteFile(filepath.Join(image, wal), data[:len(data)*i/images], 0o600); err != nil {
			t.Fatal(err)
		}
		copied := open(t, image)
		state, ok := states[load(copied)]
		if rep := copied.Report(); !ok || !rep.OK() {
			t.Errorf("cut at %d of %d: neither before nor after a batch: %v", len(data)*i/images, len(data), rep.String())
		}
		seen[state]++
		if err := copied.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 3 {
		t.Errorf("the cuts gave only %v", seen)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// copyDir copies the files of a directory, without one.
func copyDir(t testing.TB, from, to, without string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == without {
			continue
		}
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
