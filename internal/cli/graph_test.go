package cli

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// histories are commits with their parents, newest first.
var histories = map[string]string{
	"a line":                        "c: b\nb: a\na:",
	"a merge":                       "m: a b\nb: r\na: r\nr:",
	"a merge of two roots":          "m: a b\nb:\na:",
	"two roots":                     "b:\na:",
	"two heads":                     "b: r\na: r\nr:",
	"a lane joins over another":     "m: a b\nb: x y\ny: a\nx: z\na: z\nz:",
	"far lanes":                     "d: r\nc: x\nb: y\na: r\nx: y\ny: r\nr:",
	"a lane ends left of another":   "m: a b\nb: c\na:\nx: c\nc:",
	"a lane ends left of two":       "m: a b\nb: c d\nd: e\na:\nx: c\ny: e\nc:\ne:",
	"an expiry beside what is new":  "d: m\nm: c e\ne: b\nc: b\nb: a\na:",
	"three expiries, one at a time": "m3: m2 e3\nm2: m1 e2\nm1: a e1\ne3: r\ne2: r\ne1: r\na: r\nr:",
}

// The drawings are those of git log --graph, without the two spaces that git
// puts behind the star of a merge.
func TestGraphIsGits(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	for name, history := range histories {
		dir, parents := gitHistory(t, history)
		out, err := exec.Command("git", "-C", dir, "log", "--all", "--graph", "--format=%s").Output()
		if err != nil {
			t.Fatal(err)
		}
		var g Graph[string]
		var got, want strings.Builder
		for line := range strings.Lines(string(out)) {
			line = strings.TrimRight(line, " \n")
			if id := line[strings.LastIndexByte(line, ' ')+1:]; strings.Contains(line, "*") {
				node, rows := g.Commit(id, parents[id])
				got.WriteString(node + id + "\n" + strings.Join(append(rows, ""), "\n"))
				line = strings.TrimRight(strings.TrimSuffix(line, id), " ") + " " + id
			}
			want.WriteString(line + "\n")
		}
		if got.String() != want.String() {
			t.Errorf("%s:\n%swant\n%s", name, got.String(), want.String())
		}
	}
}

// gitHistory writes a history with stock git.
func gitHistory(t *testing.T, history string) (dir string, parents map[string][]string) {
	t.Helper()
	dir, parents = filepath.Join(t.TempDir(), "g.git"), map[string][]string{}
	if out, err := exec.Command("git", "init", "-q", "--bare", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(history, "\n")
	marks := map[string]int{}
	var in strings.Builder
	for i := range lines {
		id, rest, _ := strings.Cut(lines[len(lines)-1-i], ":")
		parents[id], marks[id] = strings.Fields(rest), i+1
		fmt.Fprintf(&in, "commit refs/heads/%s\nmark :%d\ncommitter a <a@x> %d +0000\ndata %d\n%s\n", id, i+1, 1700000000+60*i, len(id), id)
		for n, p := range parents[id] {
			fmt.Fprintf(&in, "%s :%d\n", []string{"from", "merge"}[min(n, 1)], marks[p])
		}
		in.WriteString("\n")
	}
	cmd := exec.Command("git", "-C", dir, "fast-import", "--quiet")
	cmd.Stdin = strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir, parents
}

// A merge of more than two opens its lanes one after the other, where git draws
// them at once.
func TestOctopus(t *testing.T) {
	var g Graph[string]
	var got strings.Builder
	for _, c := range []string{"m: a b c", "c: r", "b: r", "a: r", "r:"} {
		id, parents, _ := strings.Cut(c, ":")
		node, rows := g.Commit(id, strings.Fields(parents))
		got.WriteString(node + id + "\n" + strings.Join(append(rows, ""), "\n"))
	}
	want := `
* m
|\
| |\
| | * c
| * | b
| |/
* / a
|/
* r
`
	if got.String() != want[1:] {
		t.Errorf("\n%swant\n%s", got.String(), want[1:])
	}
}
