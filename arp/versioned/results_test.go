package versioned

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"arpeggio/vcs/gitremote"
)

// results is where tests leave repositories to browse: the module's root.
const results = "../../test_results"

// watched are the tests whose end is waited for, by name.
var watched sync.Map

// watch makes a failing test print where its repositories are, and its outcome a
// commit when ARPEGGIO_TEST_RECORD is set.
func watch(t testing.TB) {
	if _, again := watched.LoadOrStore(t.Name(), nil); again {
		return
	}
	t.Cleanup(func() {
		watched.Delete(t.Name())
		if t.Failed() {
			dirs, _ := filepath.Glob(filepath.Join(results, filepath.FromSlash(t.Name()), "*", "HEAD"))
			for _, d := range dirs {
				abs, _ := filepath.Abs(filepath.Dir(d))
				t.Logf("see: git -C %s log --all --graph --oneline", abs)
			}
		}
		if os.Getenv("ARPEGGIO_TEST_RECORD") != "" {
			outcome := "succeeded"
			switch {
			case t.Failed():
				outcome = "failed"
			case t.Skipped():
				outcome = "was skipped"
			}
			if err := recordOutcome(filepath.Join(results, "outcomes.git"), t.Name()+": test "+outcome); err != nil {
				t.Logf("the outcome is not recorded: %v", err)
			}
		}
	})
}

var recording sync.Mutex // by this process; others are met at update-ref

// recordOutcome adds a commit without content to the branch results of a bare
// Git directory, which is made when missing.
func recordOutcome(dir, message string) error {
	recording.Lock()
	defer recording.Unlock()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	git := func(args ...string) (string, error) {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_DIR=.", "GIT_AUTHOR_NAME=go test", "GIT_AUTHOR_EMAIL=test@arpeggio",
			"GIT_COMMITTER_NAME=go test", "GIT_COMMITTER_EMAIL=test@arpeggio")
		cmd.Stdin = new(bytes.Buffer)
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		if _, err := git("init", "-q", "--bare", "-b", "results"); err != nil {
			return err
		}
	}
	tree, err := git("mktree")
	for try := 0; err == nil && try < 100; try++ { // others record at the same time
		var id string
		args := []string{"commit-tree", tree, "-m", message}
		old, missing := git("rev-parse", "-q", "--verify", "refs/heads/results")
		if missing == nil {
			args = append(args, "-p", old)
		} else {
			old = strings.Repeat("0", 40)
		}
		if id, err = git(args...); err != nil {
			break
		}
		if _, lost := git("update-ref", "refs/heads/results", id, old); lost == nil {
			return nil
		}
	}
	return err
}

// leave puts a node's repository under test_results/TEST/NODE.
func leave(t testing.TB, node string, src gitremote.Source) {
	t.Helper()
	if _, ok := t.(*testing.B); ok {
		return
	}
	dir := filepath.Join(results, filepath.FromSlash(t.Name()), node)
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		t.Error(err)
	}
	if _, err := gitremote.WriteSnapshot(dir, src); err != nil {
		t.Errorf("leave the repository in %s: %v", dir, err)
	}
}

// Outcomes become commits, one after the other, whoever records them.
func TestOutcomesAreRecorded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outcomes.git")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := recordOutcome(dir, "TestX: test succeeded"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := recordOutcome(dir, "TestY: test failed"); err != nil {
		t.Fatal(err)
	}
	got := lines(t, dir, "log", "--format=%s", "results")
	if len(got) != 5 || got[0] != "TestY: test failed" {
		t.Errorf("%q", got)
	}
}
