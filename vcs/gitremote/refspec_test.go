package gitremote

import (
	"errors"
	"strings"
	"testing"

	"arpeggio/vcs"
)

func FuzzParseRefspec(f *testing.F) {
	for _, s := range []string{"primary", "+a:b", ":x", "refs/heads/*:refs/remotes/o/*", "*", "a*:b", "HEAD", "a:b:c", "+", "refs/*:refs/*"} {
		f.Add(s, "refs/heads/a")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		s, err := ParseRefspec(text)
		if err != nil {
			if !errors.Is(err, ErrRefspec) {
				t.Fatal(err)
			}
			return
		}
		if again, err := ParseRefspec(s.String()); err != nil || again != s {
			t.Fatalf("%q: %+v, again %+v, %v", text, s, again, err)
		}
		if vcs.CheckRefName(name) != nil || s.Src == "" || s.Dst == "" {
			return
		}
		if to, ok := s.expand(name); ok {
			if back, ok := s.owns(to); !ok || back != name && !strings.Contains(s.Src+s.Dst, "*") {
				t.Fatalf("%v: %s becomes %s, which comes from %s, %v", s, name, to, back, ok)
			}
		}
	})
}
