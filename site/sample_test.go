package site

import (
	"html"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// The front page shows a history. Its lines have the shape of those that the
// program writes (see arp/versioned), on the network that make run builds.
func TestSampleHistoryIsOfThisProgram(t *testing.T) {
	b, err := fs.ReadFile(Default(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(b), "--graph --oneline\n")
	sample, _, ok := strings.Cut(sample, "</pre>")
	if !ok {
		t.Fatal("the page has no sample")
	}
	const addr, mac = `10\.9\.0\.\d+`, `02:50(:[0-9a-f]{2}){4}`
	subject := regexp.MustCompile(`^arp: (initial empty cache|merge expiry of ` + addr + `|` + addr + ` expired \(was ` + mac + `\)|` +
		addr + ` -> ` + mac + `( \(was ` + mac + `\))?)$`)
	tags := regexp.MustCompile(`<[^>]*>`)
	commits := 0
	for line := range strings.Lines(sample) {
		text := html.UnescapeString(tags.ReplaceAllString(line, ""))
		if i := strings.Index(text, "arp: "); i >= 0 {
			commits++
			if s := strings.TrimSpace(text[i:]); !subject.MatchString(s) {
				t.Errorf("no commit has the subject %q", s)
			}
		}
	}
	if commits < 5 {
		t.Errorf("the sample has %d commits", commits)
	}
}
