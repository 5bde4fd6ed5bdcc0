package site

import (
	"errors"
	"io/fs"
	"strings"
)

var (
	// errBadPath is a path that no link of any site contains.
	errBadPath = errors.New("site: malformed path")
	// errHidden is a well-formed path that is not served.
	errHidden = errors.New("site: hidden path")
)

// fileName turns the decoded path of a URL into a name for an fs.FS. The result
// always satisfies fs.ValidPath and has no segment that starts with a dot, except
// a first segment .well-known (RFC 8615).
//
// One URL names one file: paths are not cleaned. Dot segments (which clients
// remove before they ask, RFC 3986 §5.2.4), backslashes and control characters
// are errBadPath; dotfiles, empty segments and what is not UTF-8 are errHidden.
func fileName(p string) (string, error) {
	rest, ok := strings.CutPrefix(p, "/")
	if !ok {
		return "", errBadPath
	}
	for i := range len(rest) {
		if c := rest[i]; c < ' ' || c == 0x7f || c == '\\' {
			return "", errBadPath
		}
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" {
		if len(p) > 1 {
			return "", errHidden
		}
		return ".", nil
	}
	var hidden bool
	first := true
	for seg := range strings.SplitSeq(rest, "/") {
		switch {
		case seg == "." || seg == "..":
			return "", errBadPath
		case seg == "", seg[0] == '.' && !(first && seg == ".well-known"):
			hidden = true
		}
		first = false
	}
	if hidden || !fs.ValidPath(rest) {
		return "", errHidden
	}
	return rest, nil
}
