package gitserve

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"arpeggio/vcs"
)

func TestReadTokens(t *testing.T) {
	for name, text := range map[string]string{
		"empty":      "",
		"comment":    "# 0123456789abcdef\n\n",
		"short":      "hunter2\n",
		"no pattern": "0123456789abcdef primary\n",
		"no right":   "0123456789abcdef refs/heads/x:write\n",
		"asterisks":  "0123456789abcdef refs/*/x*\n",
		"bad name":   "0123456789abcdef refs/heads/a..b\n",
		"long line":  strings.Repeat("x", 5000),
	} {
		_, err := ReadTokens(strings.NewReader(text))
		if !errors.Is(err, ErrTokens) || strings.Contains(err.Error(), "0123456789") || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v", name, err)
		}
	}
	tokens, err := ReadTokens(strings.NewReader("# ours\n  0123456789abcdef\n\nfedcba9876543210 *:all\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ header, name string }{
		{"", ""},
		{"Bearer", ""},
		{"Bearer ", ""},
		{"Bearer 0123456789abcde", ""},
		{"Bearer 0123456789abcdef", "token of line 2"},
		{"bearer fedcba9876543210", "token of line 4"},
		{"Basic OjAxMjM0NTY3ODlhYmNkZWY=", "token of line 2"},    // :0123456789abcdef
		{"Basic eDowMTIzNDU2Nzg5YWJjZGVm", "token of line 2"},    // x:0123456789abcdef
		{"Basic MDEyMzQ1Njc4OWFiY2RlZjo=", ""},                   // as the user's name
		{"Digest username=0123456789abcdef", ""},                 // another scheme
		{"Basic !!!", ""},                                        // no base64
		{"Bearer 0123456789abcdef, Bearer 0123456789abcdef", ""}, // two
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		g, err := tokens.Authorize(r)
		if g.Name != c.name || (err == nil) != (c.name != "") || err != nil && !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%q: %q, %v", c.header, g.Name, err)
		}
	}
}

func TestRules(t *testing.T) {
	var rules Rules
	for _, s := range []string{"refs/heads/primary:update", "refs/heads/node/*:create,update,unrelated", "refs/heads/secret*:none", "refs/heads/*", "refs/tags/*:create,delete", "refs/x/y:all"} {
		r, err := ParseRule(s)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r)
	}
	for _, c := range []struct {
		name      string
		kind      UpdateKind
		unrelated bool
		want      string // reason, "" allowed
	}{
		{"refs/heads/primary", FastForward, false, ""},
		{"refs/heads/primary", Create, false, "creation prohibited"},
		{"refs/heads/primary", Force, false, "non-fast-forward"},
		{"refs/heads/primary", Force, true, "unrelated history"},
		{"refs/heads/primary", Delete, false, "deletion prohibited"},
		{"refs/heads/primary2", Create, false, ""},
		{"refs/heads/node/a", Create, true, ""},
		{"refs/heads/node/a", Force, true, "non-fast-forward"},
		{"refs/heads/secret/x", Create, false, "protected branch hook declined"},
		{"refs/heads/x", Create, true, "unrelated history"},
		{"refs/tags/v1", Create, false, ""},
		{"refs/tags/v1", Delete, false, ""},
		{"refs/tags/v1", FastForward, false, "protected branch hook declined"},
		{"refs/notes/x", Create, false, "protected branch hook declined"},
		{"refs/x/y", Force, true, ""},
		{"refs/x/y", Delete, false, ""},
	} {
		err := rules.Allow(Update{RefUpdate: vcs.RefUpdate{Name: c.name}, Kind: c.kind, Unrelated: c.unrelated})
		var r *Refusal
		if errors.As(err, &r); (err == nil) != (c.want == "") || r != nil && r.Reason != c.want {
			t.Errorf("%v %s: %v, want %q", c.kind, c.name, err, c.want)
		}
	}
}

func FuzzReadTokens(f *testing.F) {
	f.Add("0123456789abcdef refs/heads/*:create,update refs/tags/*:none\n# x\n")
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := ReadTokens(strings.NewReader(text))
		if (err == nil) != (tokens != nil) || err != nil && !errors.Is(err, ErrTokens) {
			t.Errorf("%v, %v", tokens, err)
		}
	})
}
