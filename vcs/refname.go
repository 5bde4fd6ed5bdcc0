package vcs

import (
	"fmt"
	"strings"
)

// Prefixes of the refs that this package knows by short names.
const (
	branchPrefix = "refs/heads/"
	tagPrefix    = "refs/tags/"
)

// BranchRef returns the full ref name of a branch: refs/heads/NAME.
func BranchRef(name string) string { return branchPrefix + name }

// TagRef returns the full ref name of a tag: refs/tags/NAME.
func TagRef(name string) string { return tagPrefix + name }

// CheckRefName reports whether name is a full ref name by the rules of git
// check-ref-format: at least two components, none empty, none that starts with
// a dot or ends in .lock, no "..", no "@{", no control characters, no spaces
// and none of ~^:?*[\ . The error wraps ErrBadRefName.
func CheckRefName(name string) error {
	bad := func(why string) error {
		return fmt.Errorf("%w: %.120q: %s", ErrBadRefName, name, why)
	}
	if len(name) > maxRefName {
		return bad("longer than 400 bytes")
	}
	if !strings.HasPrefix(name, "refs/") {
		return bad("does not start with refs/")
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`~^:?*[\`, c) >= 0 {
			return bad("has a character that is not allowed")
		}
	}
	if strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return bad(`contains ".." or "@{"`)
	}
	if strings.HasSuffix(name, ".") {
		return bad("ends in a dot")
	}
	n := 0
	for comp := range strings.SplitSeq(name, "/") {
		n++
		switch {
		case comp == "":
			return bad("has an empty component")
		case comp[0] == '.':
			return bad("has a component that starts with a dot")
		case strings.HasSuffix(comp, ".lock"):
			return bad("has a component that ends in .lock")
		}
	}
	if n < 3 {
		return bad("names no ref below refs/KIND/")
	}
	return nil
}

// maxRefName is the longest ref name; with it MaxBatchRefs updates fit into one
// transaction of every backend.
const maxRefName = 400
