package site

import (
	"fmt"
	"strings"
	"testing"
)

// drawn words the rows of a history, which is given as "id parents…" lines.
func drawn(history ...string) string {
	var cs []Commit
	for _, l := range history {
		f := strings.Fields(l)
		cs = append(cs, Commit{ID: f[0], Parents: f[1:]})
	}
	var b strings.Builder
	for i, r := range lanes(cs) {
		fmt.Fprintf(&b, "%s@%d pass%v in%v out%v\n", cs[i].ID, r.Col, r.Links, r.Joins, r.Leaves)
	}
	return b.String()
}

func TestLanes(t *testing.T) {
	for _, tc := range []struct {
		name    string
		history []string
		want    string
	}{
		{"a line", []string{"b a", "a"}, "b@0 pass[] in[] out[0]\na@0 pass[] in[0] out[]\n"},
		{"an expiry", []string{"m b e", "e a", "b a", "a"},
			"m@0 pass[] in[] out[0 1]\n" +
				"e@1 pass[{0 0}] in[1] out[1]\n" +
				"b@0 pass[{1 1}] in[0] out[0]\n" +
				"a@0 pass[] in[0 1] out[]\n"},
		{"two heads", []string{"x a", "y a", "a"},
			"x@0 pass[] in[] out[0]\ny@1 pass[{0 0}] in[] out[1]\na@0 pass[] in[0 1] out[]\n"},
		{"criss-cross", []string{"p a b", "q a b", "b z", "a z", "z"},
			"p@0 pass[] in[] out[0 1]\n" +
				"q@2 pass[{0 0} {1 1}] in[] out[2 1]\n" +
				"b@1 pass[{0 0} {2 2}] in[1] out[1]\n" +
				"a@0 pass[{1 1}] in[0 2] out[0]\n" +
				"z@0 pass[] in[0 1] out[]\n"},
		{"parents beyond the end", []string{"c b"}, "c@0 pass[] in[] out[0]\n"},
		{"two roots", []string{"b", "a"}, "b@0 pass[] in[] out[]\na@0 pass[] in[] out[]\n"},
		{"nothing", nil, ""},
	} {
		if got := drawn(tc.history...); got != tc.want {
			t.Errorf("%s:\n%swant\n%s", tc.name, got, tc.want)
		}
	}
}
