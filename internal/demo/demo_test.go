package demo

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// results is where tests leave repositories to browse, at the module's root.
const results = "../../test_results"

// The whole demonstration passes on every backend, and each repository satisfies
// stock git and tells the story of the article: an initial empty cache, entries
// added, an expiry.
func TestDemo(t *testing.T) {
	for _, backend := range []Backend{Memory, Badger, Git} {
		t.Run(string(backend), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testDemo(t, backend) })
		})
	}
}

func testDemo(t *testing.T, backend Backend) {
	out, err := filepath.Abs(filepath.Join(results, "TestDemo", string(backend)))
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := Run(t.Context(), Config{Out: out, Backend: backend, Duration: leastDuration + 2*time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if len(hosts) != len(cast) {
		t.Fatalf("%d results", len(hosts))
	}
	for _, h := range hosts {
		for _, p := range h.Problems {
			t.Errorf("%s: %s (its repository: %s)", h.Name, p, h.Dir)
		}
		git(t, h.Dir, "fsck", "--strict")
	}
	log := git(t, filepath.Join(out, "server2"), "log", "--all", "--format=%s")
	for _, want := range []string{"initial empty cache", "192.168.252.51", "192.168.252.50", "expire"} {
		if !strings.Contains(log, want) {
			t.Errorf("server2's history has no %q:\n%s", want, log)
		}
	}
}

func TestDemoKeepsForeignFiles(t *testing.T) {
	out := t.TempDir()
	dir := filepath.Join(out, "server1")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	letter := filepath.Join(dir, "letter.txt")
	if err := os.WriteFile(letter, []byte("dear"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), Config{Out: out}); err == nil || !strings.Contains(err.Error(), "--out") {
		t.Errorf("error %v, want a refusal that names the remedy", err)
	}
	if b, err := os.ReadFile(letter); err != nil || string(b) != "dear" {
		t.Errorf("the letter is %q, %v", b, err)
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %s in %s: %v\n%s", strings.Join(args, " "), dir, err, out)
	}
	return string(out)
}
