package gitserve

import (
	"fmt"
	"strings"

	"arpeggio/vcs"
)

// Rules say which refs may be changed, and how. The first rule that matches a
// ref's name decides; a ref that none matches may not be changed.
type Rules []Rule

// Rule is one rule.
type Rule struct {
	// Pattern is a full ref name, or the beginning of one and an asterisk.
	Pattern string
	Rights  Rights
}

// Rights are what a rule allows.
type Rights uint8

// The rights, and in comments their names in a rule.
const (
	MayUpdate    Rights = 1 << iota // update: fast-forward
	MayCreate                       // create
	MayForce                        // force: replace what is no ancestor
	MayDelete                       // delete
	MayUnrelated                    // unrelated: create or replace with unrelated history
)

var rightNames = []string{"update", "create", "force", "delete", "unrelated"}

// ParseRule reads PATTERN or PATTERN:RIGHT,RIGHT… where a right is update,
// create, force, delete, unrelated, all or none. Without rights it means update
// and create.
func ParseRule(s string) (Rule, error) {
	pattern, list, given := strings.Cut(s, ":")
	r := Rule{Pattern: pattern, Rights: MayUpdate | MayCreate}
	prefix, wild := strings.CutSuffix(pattern, "*")
	if !wild {
		if err := vcs.CheckRefName(pattern); err != nil {
			return r, err
		}
	} else if strings.Contains(prefix, "*") || prefix != "" && !strings.HasPrefix(prefix, "refs/") {
		return r, fmt.Errorf("bad pattern %.80q: use a full ref name, or the beginning of one and *", pattern)
	}
	if !given {
		return r, nil
	}
	r.Rights = 0
	for name := range strings.SplitSeq(list, ",") {
		switch name {
		case "none":
			continue
		case "all":
			r.Rights = MayUpdate | MayCreate | MayForce | MayDelete | MayUnrelated
			continue
		}
		bit := Rights(0)
		for i, n := range rightNames {
			if n == name {
				bit = 1 << i
			}
		}
		if bit == 0 {
			return r, fmt.Errorf("bad right %.80q: use %s, all or none", name, strings.Join(rightNames, ", "))
		}
		r.Rights |= bit
	}
	return r, nil
}

func (r Rule) matches(name string) bool {
	if prefix, wild := strings.CutSuffix(r.Pattern, "*"); wild {
		return strings.HasPrefix(name, prefix)
	}
	return name == r.Pattern
}

// Allow is a Grant's: it returns nil, or a *Refusal in Git's words.
func (rs Rules) Allow(u Update) error {
	var rights Rights
	for _, r := range rs {
		if r.matches(u.Name) {
			rights = r.Rights
			break
		}
	}
	if rights == 0 {
		return &Refusal{Reason: "protected branch hook declined", Message: u.Name + " is protected"}
	}
	if u.Unrelated && rights&MayUnrelated == 0 {
		return &Refusal{Reason: "unrelated history", Message: "refusing unrelated histories for " + u.Name}
	}
	switch {
	case u.Kind == Create && rights&MayCreate == 0:
		return &Refusal{Reason: "creation prohibited", Message: "denying creation of " + u.Name}
	case u.Kind == FastForward && rights&MayUpdate == 0:
		return &Refusal{Reason: "protected branch hook declined", Message: u.Name + " is protected"}
	case u.Kind == Force && rights&MayForce == 0:
		return &Refusal{Reason: "non-fast-forward", Message: "denying non-fast-forward " + u.Name + " (you should pull first)"}
	case u.Kind == Delete && rights&MayDelete == 0:
		return &Refusal{Reason: "deletion prohibited", Message: "denying ref deletion for " + u.Name}
	}
	return nil
}
